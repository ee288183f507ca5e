// The set-up page: its own address in the bar after a token was shown, so that a reload neither repeats the
// making nor shows the token again.
const head = document.querySelector("[data-address]");
if (head && head.dataset.address !== location.pathname) history.replaceState(null, "", head.dataset.address);
