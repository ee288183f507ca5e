// Reads out states of the desk when they change, and only then: the status line itself changes every few seconds with
// money and ages, which nobody wants read out.
const spoken = document.getElementById("desk-announcement");
const status = () => document.querySelector("[data-announce]")?.dataset.announce ?? "";
let last = status();

document.addEventListener("desk:changed", () => {
  const now = status();
  if (!spoken || now === last) return;
  last = now;
  spoken.textContent = now;
});
