// <ealert-signup>: the sign-up form for e-alerts on anybody's page. Where this script or the service is blocked, late or
// broken, the plain link inside the element stays, with what was chosen in its address. docs/embedding.md says how to use it.
const BASE = new URL("./", import.meta.url);
const NAME = "ealert-signup";
const PATIENCE_MS = 10_000;
const FIELDS = ["topics", "frequency", "email"];

const SHEET = new CSSStyleSheet();
SHEET.replaceSync(`
:host { display: block; text-align: start; --accent: var(--ealert-accent, #005ea2); --radius: var(--ealert-radius, .25rem); }
:host([hidden]), [hidden] { display: none; }
* { box-sizing: border-box; }
section { max-width: 34rem; line-height: 1.5; overflow-wrap: break-word; }
h2 { margin: 0 0 .5rem; font-size: 1.35em; line-height: 1.25; }
p { margin: .5rem 0; }
fieldset { min-width: 0; margin: 0 0 1rem; padding: 0; border: 0; }
fieldset fieldset { margin: .75rem 0 0; }
legend, .label { display: block; padding: 0; font-weight: 700; }
summary { min-height: 1.5rem; padding-block: .35rem; cursor: pointer; }
.choice { display: grid; grid-template-columns: auto 1fr; align-items: start; column-gap: .5rem; padding-block: .25rem; }
.choice p { grid-column: 2; margin: 0; font-size: .9em; }
[type=checkbox] { width: 1.5rem; height: 1.5rem; margin: 0; accent-color: var(--accent); }
.field { margin-block: 0 1rem; }
.text { display: block; width: 100%; min-height: 2.75rem; padding: .4rem .6rem; border: 1px solid GrayText;
  border-radius: var(--radius); background: Field; color: FieldText; font: inherit; }
button { min-height: 2.75rem; padding: .5rem 1.25rem; border: 2px solid transparent; border-radius: var(--radius);
  background: var(--accent); color: var(--ealert-accent-text, #fff); font: inherit; font-weight: 700; cursor: pointer; }
a { color: inherit; }
:focus-visible { outline: .2rem solid currentColor; outline-offset: .15rem; }
button:focus-visible { outline-color: var(--accent); }
.wrong { padding-inline-start: .75rem; border-inline-start: .25rem solid #d83933; }
.error { font-weight: 700; }
.status:not(:empty) { margin-top: 1rem; padding-inline-start: .75rem; border-inline-start: .25rem solid var(--accent); }
.status p:first-child { font-weight: 700; }
`);

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value != null && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child != null));
  return node;
}

function query({ topics, frequency, lang }) {
  const found = new URLSearchParams();
  if (topics.length) found.set("topics", topics.join(" "));
  if (frequency) found.set("frequency", frequency);
  if (lang) found.set("lang", lang);
  return found;
}

function call(path, options) {
  return fetch(new URL(path, BASE), { credentials: "omit", signal: AbortSignal.timeout(PATIENCE_MS), ...options });
}

function topicChoice({ slug, title, description, chosen }) {
  const id = `topic-${slug}`;
  const box = make("input", {
    type: "checkbox", name: "topics", value: slug, id, "aria-describedby": description ? `${id}-about` : null,
  });
  box.checked = chosen;
  const about = description ? make("p", { id: `${id}-about` }, description) : null;
  return make("div", { class: "choice", part: "choice" }, box, make("label", { for: id }, title), about);
}

function categories(topics) {
  const found = new Map();
  for (const topic of topics) found.set(topic.category, [...(found.get(topic.category) ?? []), topic]);
  return [...found].map(([title, inside]) =>
    make("fieldset", {}, make("legend", {}, title), ...inside.map(topicChoice)));
}

// What the page has chosen stands first; all the other topics are one step away.
function topicField({ topics, labels }) {
  const chosen = topics.filter((topic) => topic.chosen);
  const others = categories(topics.filter((topic) => !topic.chosen));
  const inside = chosen.length
    ? [...chosen.map(topicChoice), others.length ? make("details", {}, make("summary", {}, labels.more), ...others) : null]
    : others;
  return make("fieldset", { id: "topics", part: "topics" }, make("legend", { part: "label" }, labels.topics), ...inside);
}

function frequencyField({ frequencies, labels }) {
  const select = make("select", { name: "frequency", id: "frequency-input", class: "text", part: "input" });
  for (const { value, label, chosen } of frequencies) select.append(new Option(label, value, chosen, chosen));
  const label = make("label", { for: "frequency-input", class: "label", part: "label" }, labels.frequency);
  return make("div", { id: "frequency", class: "field", part: "frequency" }, label, select);
}

function emailField({ labels }) {
  const input = make("input", {
    type: "email", name: "email", id: "email-input", class: "text", part: "input", required: true,
    autocomplete: "email", autocapitalize: "none", spellcheck: "false", maxlength: 254,
  });
  const label = make("label", { for: "email-input", class: "label", part: "label" }, labels.email);
  return make("div", { id: "email", class: "field", part: "email" }, label, input);
}

class EalertSignup extends HTMLElement {
  #begun = false;
  #busy = false;
  #shown;
  #form;
  #status;

  connectedCallback() {
    if (this.#begun) return;
    this.#begun = true;
    this.#open(this.#wanted());
  }

  #wanted() {
    const meta = document.querySelector('meta[name="ealert-topics"]');
    const topics = this.getAttribute("topics") ?? meta?.content ?? "";
    const [lang] = (this.closest("[lang]")?.lang ?? "").toLowerCase().split("-");
    return { topics: topics.split(/[\s,]+/).filter(Boolean), frequency: this.getAttribute("frequency"), lang };
  }

  async #open(wanted) {
    try {
      const answer = await call(`api/v1/form?${query(wanted)}`);
      if (!answer.ok) throw new Error(answer.statusText);
      this.#show(await answer.json());
    } catch {
      this.#keepLink(wanted);
    }
  }

  #keepLink(wanted) {
    const link = this.querySelector("a[href]") ?? this.appendChild(make("a", {}, this.getAttribute("heading") || BASE.host));
    link.href = this.#page(wanted);
  }

  #page(wanted) {
    return new URL(`?${query(wanted)}`, BASE).href;
  }

  #show(shown) {
    const { labels, consent, privacy, lang, dir } = shown;
    const title = this.getAttribute("heading") ?? labels.heading;
    const heading = title ? make("h2", { id: "heading", part: "heading" }, title) : null;
    this.#shown = shown;
    this.#status = make("div", { role: "status", class: "status", part: "status", tabindex: -1 });
    const link = privacy ? make("a", { href: privacy, part: "link" }, labels.privacy) : null;
    this.#form = make(
      "form", { novalidate: true, part: "form", "aria-label": title ? null : labels.heading, "aria-labelledby": title ? "heading" : null },
      make("div", { hidden: true }, make("input", { name: "comment", tabindex: -1, autocomplete: "off" })),
      topicField(shown), frequencyField(shown), emailField(shown),
      make("p", { id: "consent", part: "consent" }, consent), link ? make("p", {}, link) : null,
      make("button", { part: "button" }, labels.send),
    );
    this.#form.addEventListener("submit", (event) => this.#send(event));
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [SHEET];
    root.append(make("section", { lang, dir }, heading, this.#form, this.#status));
  }

  async #send(event) {
    event.preventDefault();
    if (this.#busy) return;
    this.#busy = true;
    const { lang, labels, wording, started, sure } = this.#shown;
    const given = new FormData(this.#form);
    const wanted = { topics: given.getAll("topics"), frequency: given.get("frequency"), lang };
    const page = location.origin + location.pathname;
    this.#forgetErrors();
    this.#say(labels.sending);
    try {
      const body = JSON.stringify({ ...wanted, email: given.get("email"), comment: given.get("comment"), page, wording, started, sure });
      const answer = await call("api/v1/signups", { method: "POST", headers: { "Content-Type": "application/json" }, body });
      if (answer.ok) this.#thank(wanted);
      else this.#refuse(await answer.json());
    } catch {
      this.#say(labels.failed, make("a", { href: this.#page(wanted), part: "link" }, labels.elsewhere));
    } finally {
      this.#busy = false;
    }
  }

  #thank(wanted) {
    this.#form.hidden = true;
    this.#say(...this.#shown.labels.sent);
    this.#status.focus();
    this.dispatchEvent(new CustomEvent("ealert-sent", { bubbles: true, composed: true, detail: wanted }));
  }

  // What is outdated comes back fresh with the refusal, and the domain that was asked about; what was typed stays.
  #refuse({ detail, errors = [], ...fresh }) {
    if (fresh.consent) this.#form.querySelector("#consent").textContent = fresh.consent;
    for (const name of ["wording", "started", "sure"]) this.#shown[name] = fresh[name] ?? this.#shown[name];
    const marked = errors.filter(({ field, message }) => this.#mark(field, message));
    const lines = errors.length ? errors.map(({ message }) => message) : [detail];
    this.#say(...(marked.length ? [this.#shown.labels.problem] : []), ...lines);
    this.#form.querySelector(".wrong :is(input, select)")?.focus();
  }

  #mark(field, message) {
    if (!FIELDS.includes(field)) return false;
    const group = this.#form.querySelector(`#${field}`);
    const id = `${field}-error`;
    const said = group.querySelector(`#${id}`) ?? make("p", { id, class: "error", part: "error" });
    said.append(said.textContent && " ", message);
    const input = group.querySelector(".text");
    (input ?? group).setAttribute("aria-describedby", id);
    input?.setAttribute("aria-invalid", "true");
    group.classList.add("wrong");
    group.firstElementChild.after(said);
    return true;
  }

  #forgetErrors() {
    for (const said of this.#form.querySelectorAll(".error")) said.remove();
    for (const group of this.#form.querySelectorAll(".wrong")) {
      group.classList.remove("wrong");
      for (const told of [group, ...group.querySelectorAll(".text")]) {
        told.removeAttribute("aria-invalid");
        told.removeAttribute("aria-describedby");
      }
    }
  }

  #say(...lines) {
    this.#status.replaceChildren(...lines.map((line) => make("p", {}, line)));
  }
}

// Editors drop elements they do not know, and keep links.
function upgrade(link) {
  const asked = new URL(link.href);
  if (asked.origin !== BASE.origin) return;
  const element = document.createElement(NAME);
  for (const name of ["topics", "frequency", "lang", "heading"]) {
    if (asked.searchParams.has(name)) element.setAttribute(name, asked.searchParams.getAll(name).join(" "));
  }
  link.replaceWith(element);
  element.append(link);
}

if (!customElements.get(NAME)) {
  customElements.define(NAME, EalertSignup);
  document.querySelectorAll(`a.${NAME}[href]`).forEach(upgrade);
}
