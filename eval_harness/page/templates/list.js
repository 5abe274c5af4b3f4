// The list: which samples are shown, in which order, and which of them are drawn just now.
const tools = document.querySelector(".tools");
const list = document.querySelector(".list");
const chosen = new Set();
let articles = [];
let shownRows = [];
let order = [];
let printing = false;

const lastValues = (brief, places, metric) => places.map((place) => brief.values[place].at(-1)[metric]);
const mean = (values) => values.reduce((sum, one) => sum + one, 0) / values.length;
const ORDERS = {
  worst: ["worst", (brief, places, metric) => mean(lastValues(brief, places, metric))],
  best: ["best", (brief, places, metric) => -mean(lastValues(brief, places, metric))],
  improved: ["most improved", (brief, places, metric) => (brief.draft[metric] ?? 0) - mean(lastValues(brief, places, metric))],
  different: ["most different between runs", (brief, places, metric) => {
    const values = lastValues(brief, places, metric);
    return Math.min(...values) - Math.max(...values);
  }],
};

const options = (name, values) => {
  const select = tools.elements[name];
  for (const value of values) select.append(el("option", { value }, words(String(value))));
  select.closest("label").hidden = values.length < 2 && name !== "status";
};
const distinct = (values) => [...new Set(values.filter(Boolean))].sort();

const near = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) isIntersecting ? fill(target) : empty(target);
  forget((place) => articles[place].dataset.near === "true");
}, { rootMargin: "900px 0px" });

const fill = async (article) => {
  article.dataset.near = "true";
  const place = Number(article.dataset.place);
  const drawn = (article.drawn = {});
  article.rows = String(shownRows[place]);
  try {
    const sample = await sampleAt(place);
    if (article.drawn !== drawn) return;
    const content = article.querySelector(".content");
    content.classList.toggle("single", shownRows[place].length === 1);
    content.replaceChildren(...contentOf(sample, index.samples[place], shownRows[place]));
  } catch (error) {
    article.rows = null; // asked again with the next update
    article.querySelector(".content").replaceChildren(el("p", { class: "message" }, error.message));
  }
  article.style.minHeight = "";
  article.classList.add("drawn");
};

const empty = (article) => {
  if (printing || article.dataset.near !== "true") return;
  article.style.minHeight = `${article.offsetHeight}px`;
  article.dataset.near = "false";
  article.drawn = null;
  article.classList.remove("drawn");
  article.querySelector(".content").replaceChildren();
};

const articleOf = (brief, place) => {
  const pick = el("input", { type: "checkbox", name: "pick" });
  const title = el("h3", { id: `sample-${place}` }, el("bdi", {}, brief.id));
  const article = el("article", { class: "sample", tabIndex: -1, "aria-labelledby": title.id, "data-id": brief.id, "data-place": place },
    el("header", {}, title, el("p", { class: "facts" }, el("bdi", {}, brief.facts.filter(Boolean).join(" · "))),
      el("label", { class: "pick" }, pick, " figure", el("span", { class: "hidden-text" }, ` with ${brief.id}`))),
    el("div", { class: "content" }));
  article.style.minHeight = `${260 + 330 * index.rows.length}px`;
  pick.addEventListener("change", () => {
    pick.checked ? chosen.add(place) : chosen.delete(place);
    article.classList.toggle("chosen", pick.checked);
    document.dispatchEvent(new Event("chosen"));
  });
  return article;
};

const rowsShown = (brief, wanted) =>
  index.rows.flatMap((row, place) => {
    const statuses = brief.statuses[place];
    const fits =
      (!wanted.method || row.method === wanted.method) &&
      (!wanted.prompt || row.prompt === wanted.prompt) &&
      (!wanted.status || (wanted.status === "any failure" ? statuses.some((one) => one !== "ok") : statuses.includes(wanted.status)));
    return fits ? [place] : [];
  });

const matches = (brief, wanted) =>
  ["category", "gender", "view"].every((name, fact) => !wanted[name] || brief.facts[fact] === wanted[name]);

let updates = 0;
const update = async () => {
  const turn = ++updates;
  const wanted = Object.fromEntries(new FormData(tools));
  const search = wanted.search.trim().toLowerCase().split(/\s+/).filter(Boolean);
  const texts = search.length ? await textsOfAll() : null;
  if (turn !== updates) return;
  shownRows = index.samples.map((brief) => (matches(brief, wanted) ? rowsShown(brief, wanted) : []));
  const before = String(order);
  order = index.samples.flatMap((_, place) =>
    shownRows[place].length && search.every((word) => texts[place].includes(word)) ? [place] : []);
  const [kind, metric] = wanted.order.split(" ");
  if (ORDERS[kind]) {
    const keys = new Map(order.map((place) => [place, ORDERS[kind][1](index.samples[place], shownRows[place], Number(metric))]));
    order.sort((one, other) => keys.get(one) - keys.get(other) || one - other);
  }
  const kept = new Set(order);
  articles.forEach((article, place) => (article.hidden = !kept.has(place)));
  // A sample that is moved, or drawn anew, loses the focus.
  if (String(order) !== before) list.append(...order.map((place) => articles[place]));
  document.body.classList.toggle("no-boxes", !wanted.boxes);
  document.body.classList.toggle("changes", Boolean(wanted.changes));
  const strips = order.reduce((sum, place) => sum + shownRows[place].length, 0);
  const total = index.samples.length;
  tools.querySelector(".count").textContent =
    `${order.length.toLocaleString("en")} of ${total.toLocaleString("en")} samples, ${strips.toLocaleString("en")} strips`;
  document.querySelector(".empty").hidden = order.length > 0;
  for (const [place, article] of articles.entries())
    if (article.dataset.near === "true" && !article.hidden && article.rows !== String(shownRows[place])) fill(article);
};

// The browser's own command prints what is drawn; only the button waits for the rest.
window.addEventListener("beforeprint", () => {
  document.querySelector(".partly").hidden = order.every((place) => articles[place].classList.contains("drawn"));
});

const printAll = async () => {
  printing = true;
  await Promise.all(order.map((place) => fill(articles[place])));
  await Promise.all([...list.querySelectorAll("img")].map((image) => image.decode().catch(() => {})));
  window.print();
  printing = false;
  for (const article of articles) {
    near.unobserve(article);
    near.observe(article);
  }
};

const startList = () => {
  for (const [name, fact] of [["category", 0], ["gender", 1], ["view", 2]])
    options(name, distinct(index.samples.map((brief) => brief.facts[fact])));
  options("method", [...new Set(index.rows.map((row) => row.method))]);
  options("prompt", distinct(index.rows.map((row) => row.prompt)));
  const found = distinct(index.samples.flatMap((brief) => brief.statuses.flat()));
  options("status", [...(found.some((one) => one !== "ok") ? ["any failure"] : []), ...found]);
  const sorts = tools.elements.order;
  sorts.append(el("option", { value: "id" }, "as in the dataset"));
  for (const [kind, [label]] of Object.entries(ORDERS)) {
    if (kind === "different" && index.rows.length < 2) continue;
    index.metrics.forEach(([name], metric) => sorts.append(el("option", { value: `${kind} ${metric}` }, `${label} (${name})`)));
  }
  articles = index.samples.map(articleOf);
  list.append(...articles);
  tools.addEventListener("input", update);
  tools.addEventListener("submit", (event) => event.preventDefault());
  tools.elements.print.addEventListener("click", printAll);
  if (window.matchMedia("(max-width: 640px)").matches) tools.querySelector(".filters").open = false;
  update().then(() => articles.forEach((article) => near.observe(article)));
};
