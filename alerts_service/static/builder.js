// The builder of snippets: shows each choice at once. Without this script its button does the same.
const form = document.getElementById("builder");
const told = document.getElementById("told");
let turn = 0;

// The policy of the page forbids style attributes; a script may set the properties.
function dress() {
  const preview = document.getElementById("preview");
  for (const { name, value } of preview.attributes) {
    if (name.startsWith("data-ealert-")) preview.style.setProperty(`--${name.slice("data-".length)}`, value);
  }
  for (const button of document.querySelectorAll("[data-copies]")) button.hidden = !navigator.clipboard;
}

async function show() {
  const mine = ++turn;
  const address = `${form.action}?${new URLSearchParams(new FormData(form))}`;
  const answer = await fetch(address);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (mine !== turn || !answer.ok) return;
  document.getElementById("made").replaceWith(page.getElementById("made"));
  history.replaceState(null, "", address);
  dress();
}

form.addEventListener("change", show);
document.addEventListener("click", async ({ target }) => {
  const button = target.closest("[data-copies]");
  if (!button) return;
  await navigator.clipboard.writeText(document.getElementById(button.dataset.copies).value);
  told.textContent = "";
  told.textContent = told.dataset.copied;
});
dress();
