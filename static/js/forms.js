// Filters that apply when they are changed, and buttons that copy.

// Whoever comes back sees the list that the address names: the filters must say the same, not what was chosen last.
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form.filters")) form.reset();
});

document.addEventListener("change", (event) => {
  const field = event.target.closest("[data-autosubmit]");
  if (!field?.form) return;
  // Empty parameters stay out of the address.
  const query = new URLSearchParams();
  for (const [name, value] of new FormData(field.form)) if (value) query.append(name, value);
  const text = query.toString();
  location.href = location.pathname + (text ? `?${text}` : "");
});

export function toast(text) {
  const box = document.getElementById("toasts");
  if (!box) return;
  const item = document.createElement("div");
  item.className = "toast";
  item.setAttribute("role", "status");
  item.textContent = text;
  box.append(item);
  setTimeout(() => item.remove(), 4000);
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const source = button.dataset.copy ? document.getElementById(button.dataset.copy) : button;
  const text = (source?.value ?? source?.textContent ?? "").trim();
  try {
    await navigator.clipboard.writeText(text);
    toast("Copied");
  } catch {
    // Without a secure context there is no clipboard: select it, so that the keyboard can copy.
    const range = document.createRange();
    range.selectNodeContents(source);
    const selection = getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
    toast("Press Ctrl+C to copy");
  }
});
