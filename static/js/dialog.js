// Confirmations open in a dialog instead of a page of their own. Without JavaScript the link leads to that page.
const dialog = document.getElementById("dialog");

document.addEventListener("click", async (event) => {
  const link = event.target.closest("a[data-dialog]");
  if (!link || !dialog || event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return;
  event.preventDefault();
  try {
    const answer = await fetch(link.href, { headers: { "HX-Request": "true" } });
    if (answer.redirected || answer.status === 401) {
      location.href = link.href;
      return;
    }
    const parsed = new DOMParser().parseFromString(await answer.text(), "text/html");
    dialog.replaceChildren(...parsed.body.childNodes);
    dialog.showModal();
  } catch {
    location.href = link.href;
  }
});

dialog?.addEventListener("click", (event) => {
  if (event.target === dialog || event.target.closest("[data-close]")) {
    event.preventDefault();
    dialog.close();
  }
});

// A form is sent once, however often the button is pressed.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method === "dialog") return;
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = "1";
});
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});
