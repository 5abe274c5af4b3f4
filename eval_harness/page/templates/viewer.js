// The large view: two pictures of a strip side by side, under a slider, in turns, or as their difference.
const viewer = document.querySelector(".viewer");
const MODES = [["side", "side by side"], ["slider", "slider"], ["flicker", "flicker"], ["change", "change"], ["all", "all"]];
const still = window.matchMedia("(prefers-reduced-motion: reduce)");
let view = null;
let mode = "side";
let ticking = 0;

const stepsOf = (sample, brief, place) => {
  const row = index.rows[place];
  const numbers = sample.boxes.map((_, number) => number + 1);
  const rounds = sample.rows[place].map((one, order) => ({
    ...one, order, name: row.rounds[order] ? `Round ${row.rounds[order]}` : "Result", status: brief.statuses[place][order],
    numbers: row.rounds[order] && !one.cut ? [row.rounds[order]] : [], values: brief.values[place][order], faint: true,
  }));
  const draft = { picture: sample.draft, name: "Draft", numbers, values: brief.draft, faint: true };
  const original = { picture: sample.original, name: "Original", numbers, values: [], faint: false };
  return [...(row.rounds[0] > 0 ? [draft] : []), ...rounds, original];
};

const openViewer = async (place, row, role, orderInRow) => {
  const sample = await sampleAt(place);
  const steps = stepsOf(sample, index.samples[place], row);
  let right = role === "draft" ? 0 : role === "original" ? steps.length - 1 : steps.findIndex((one) => one.order === orderInRow);
  let left = Math.max(right - 1, 0);
  if (right === 0) [left, right] = [0, 1];
  view = { sample, place, row, left, right };
  drawViewer();
  if (!viewer.open) viewer.showModal();
};

const drawViewer = () => {
  const { sample, place, row, left, right } = view;
  const brief = index.samples[place];
  const steps = stepsOf(sample, brief, row);
  const select = (name, label, values, selected, change) => {
    const made = el("select", { name }, ...values.map(([value, text]) => el("option", { value, selected: value === selected }, text)));
    made.addEventListener("change", () => {
      change(Number(made.value));
      drawViewer();
      viewer.querySelector(`[name="${name}"]`).focus();
    });
    return el("label", {}, `${label} `, made);
  };
  const names = steps.map((step, number) => [number, step.name]);
  const rows = shownRows[place].map((one) => [one, nameOf(index.rows[one])]);
  const radios = MODES.map(([value, text]) => {
    const radio = el("input", { type: "radio", name: "mode", value, checked: value === mode });
    radio.addEventListener("change", () => {
      mode = value;
      drawViewer();
      viewer.querySelector(`[name="mode"][value="${value}"]`).focus();
    });
    return el("label", { class: "check" }, radio, ` ${text}`);
  });
  viewer.replaceChildren(
    el("form", { method: "dialog" }, el("h2", { id: "viewer-title" }, el("bdi", {}, brief.id)), el("button", { class: "close", "aria-label": "Close" }, "×")),
    el("div", { class: "controls" },
      rows.length > 1 ? select("viewer-row", "Strip", rows, row, (value) => {
        view = { ...view, row: value };
        const most = stepsOf(sample, brief, value).length - 1;
        view.left = Math.min(view.left, most - 1);
        view.right = Math.min(view.right, most);
      }) : null,
      select("left", "From", names, left, (value) => (view.left = value)),
      select("right", "to", names, right, (value) => (view.right = value)),
      el("fieldset", {}, el("legend", { class: "hidden-text" }, "Compare"), ...radios)),
    stageOf(sample, steps, left, right),
    toldOf(sample, steps[right], row));
};

const picture = (sample, step) =>
  el("figure", {}, frame(sample, step.picture, step.name, step.numbers, step.faint), el("figcaption", {}, step.name));

const stageOf = (sample, steps, left, right) => {
  clearInterval(ticking);
  const pair = [steps[left], steps[right]];
  const whole = pair.every((step) => sample.has(step.picture));
  if (mode === "all") return el("div", { class: "stage all" }, ...steps.map((step) => picture(sample, step)));
  if (mode === "side" || !whole) return el("div", { class: "stage pair" }, ...pair.map((step) => picture(sample, step)));
  if (mode === "change") {
    const map = showMap(sample, pair[0].picture, pair[1].picture, 720);
    return el("div", { class: "stage one" }, el("figure", {}, map, el("figcaption", {}, `${pair[1].name} against ${pair[0].name}`)));
  }
  const layers = pair.map((step) => frame(sample, step.picture, step.name, step.numbers, step.faint));
  layers[1].classList.add("over");
  const caption = el("figcaption", {});
  const stack = el("div", { class: "stack" }, ...layers);
  stack.style.aspectRatio = `${pair[1].picture[1]} / ${pair[1].picture[2]}`;
  if (mode === "slider") {
    const range = el("input", { type: "range", min: 0, max: 100, value: 50, "aria-label": `${pair[0].name} to ${pair[1].name}` });
    const move = () => stack.style.setProperty("--cut", `${range.value}%`);
    range.addEventListener("input", move);
    move();
    caption.append(`${pair[0].name} on the left, ${pair[1].name} on the right`);
    return el("div", { class: "stage one" }, el("figure", {}, stack, range, caption));
  }
  const turn = (second) => {
    stack.classList.toggle("first", !second);
    caption.textContent = pair[second ? 1 : 0].name;
  };
  let second = true;
  const flip = () => turn((second = !second));
  turn(second);
  const button = el("button", { type: "button", name: "flip" }, still.matches ? "Switch" : "Pause");
  const start = () => (ticking = setInterval(flip, 900));
  button.addEventListener("click", () => {
    if (still.matches) return flip();
    if (button.textContent === "Pause") clearInterval(ticking);
    else start();
    button.textContent = button.textContent === "Pause" ? "Go on" : "Pause";
  });
  if (!still.matches) start();
  return el("div", { class: "stage one" }, el("figure", {}, stack, caption, button));
};

const toldOf = (sample, step, row) => {
  const facts = step.values.map((value, metric) => [index.metrics[metric][0], fixed(value, index.metrics[metric][2])]);
  for (const [id, label, unit] of index.measures)
    if (step.measures && id in step.measures) facts.push([label, fixed(step.measures[id]), unit]);
  const round = step.order === undefined ? 0 : index.rows[row].rounds[step.order];
  const references = round && index.rows[row].reference
    ? sample.references.filter((one) => one.kind === index.rows[row].reference).map((one) => frame(sample, one.pictures[round - 1], `Reference of round ${round}`))
    : [];
  references.forEach((one) => one.classList.add("reference"));
  return el("div", { class: "told" }, ...references, el("div", {},
    step.told ? el("p", {}, el("strong", {}, `${step.name}: `), el("bdi", {}, step.told)) : null,
    step.status && step.status !== "ok" ? el("p", { class: "message" }, el("strong", {}, `${words(step.status)} `), el("bdi", {}, step.message)) : null,
    facts.length ? el("dl", { class: "facts" }, ...facts.map(([name, value, unit]) => el("div", { title: unit }, el("dt", {}, name), el("dd", {}, value)))) : null));
};

const moveViewer = (step) => {
  const most = stepsOf(view.sample, index.samples[view.place], view.row).length - 1;
  const right = Math.min(Math.max(view.right + step, 1), most);
  view = { ...view, right, left: right - 1 };
  drawViewer();
  viewer.querySelector(".close").focus();
};

list.addEventListener("click", (event) => {
  const button = event.target.closest(".enlarge");
  if (!button) return;
  const place = Number(button.closest(".sample").dataset.place);
  const strip = button.closest(".strip");
  const side = button.closest(".side");
  if (strip) openViewer(place, Number(strip.dataset.row), "round", Number(button.closest(".cell").dataset.order));
  else openViewer(place, shownRows[place][0], side.classList.contains("draft") ? "draft" : "original");
});
for (const dialog of document.querySelectorAll("dialog"))
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
viewer.addEventListener("close", () => clearInterval(ticking));
