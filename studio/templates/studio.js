// Runs once the component is there: `element` is its root, `server` has the functions of studio/page.py.
const root = element.querySelector(".studio");
const find = (name, from = root) => from.querySelector(name);
const all = (name) => [...root.querySelectorAll(name)];
const make = (name, fields = {}, ...children) => {
  const made = Object.assign(document.createElement(name), fields);
  made.append(...children);
  return made;
};
const KEY = "fashionedit.sessions";
const pictures = new Map(); // digest → data URL
const scores = new Map(); // session id → turn → scores
let offer = null, session = null, at = 0, shown = null, shownFrom = null, working = null;

const own = {
  ids: () => { try { return JSON.parse(localStorage.getItem(KEY)) || []; } catch { return []; } },
  add: (id) => {
    try { localStorage.setItem(KEY, JSON.stringify([id, ...own.ids().filter((other) => other !== id)].slice(0, 50))); }
    catch { /* private windows may keep nothing */ }
  },
};

// On a phone the focus would open the keyboard over the design.
const typeIn = (name) => { if (matchMedia("(pointer: fine)").matches) find(name).focus({ preventScroll: true }); };

const say = (error) => { find(".error").textContent = error || ""; };

async function ask(name, given = {}) {
  try {
    const found = await server[name](given);
    say(found.error);
    return found.error ? null : found;
  } catch {
    say("The page can't reach its server. Everything so far is saved; reload the page to go on.");
    return null;
  }
}

const turnOf = (number) => session.turns.find((turn) => turn.number === number);
const designOf = (turn) => { while (turn && !turn.image) turn = turnOf(turn.parent); return turn; };
const imageOf = (turn) => pictures.get(designOf(turn)?.image);
const wayTo = (turn) => (turn ? [...wayTo(turnOf(turn.parent)), turn] : []);

// ---------------------------------------------------------------- the beginning

function offerGenerators() {
  const options = (list) => list.map(({ name, label }) => make("option", { value: name, textContent: label }));
  find("[name=generator]").replaceChildren(...options(offer.generators));
  find("[name=editor]").replaceChildren(...options(offer.editors));
  find("[name=generator]").hidden = offer.generators.length < 2;
  find("[name=editor]").hidden = offer.editors.length < 2;
  all(".words-known").forEach((button) => { button.hidden = !Object.keys(offer.vocabulary).length; });
  find(".from-sample").hidden = !offer.samples;
  find(".precise").hidden = !offer.assistant;
  find(".from-words").hidden = !offer.generators.length;
  label();
}

function label() {
  if (!offer) return;
  const generator = offer.generators.find(({ name }) => name === find("[name=generator]").value);
  const editor = offer.editors.find(({ name }) => name === find("[name=editor]").value);
  find(".begin .label").textContent = generator ? generator.label : "";
  const foreign = editor?.drawn && session && wayTo(turnOf(at))[0].source !== "words";
  find(".turn .label").textContent = foreign ? "drawn changes only its own drawings; a picture needs an editor with a model (fashionedit studio --editor …)." : editor ? editor.label : "";
  const takes = !editor || editor.takes_picture;
  find(".kinds").hidden = !takes;
  if (!takes) { find("[name=kind]").checked = true; changeKind(); }
}

function card(image, words, press) {
  const button = make("button", { type: "button" }, make("img", { src: image, alt: "" }), make("span", { textContent: words }));
  button.addEventListener("click", press);
  return make("li", {}, button);
}

async function begin() {
  offer = await ask("begin", { ids: own.ids() });
  if (!offer) return;
  offerGenerators();
  find(".earlier").hidden = !offer.sessions.length;
  find(".earlier .cards").replaceChildren(...offer.sessions.map(({ id, title, image }) => card(image, title, () => open(id))));
}

async function open(id) {
  const found = await ask("open", { id });
  if (found) take(found, found.turns.at(-1).number);
}

async function start(given) {
  busy("Drawing …", null);
  const found = await ask("start", given);
  busy(null);
  if (found) take(found, 1);
}

let listed = 0;
async function listSamples(more) {
  find(".sample-list").hidden = false;
  const text = find("[name=find]").value;
  const found = await ask("samples", { text, start: more ? listed : 0 });
  if (!found || text !== find("[name=find]").value) return;
  const choose = (id) => (session ? detailOf(id) : start({ sample: id }));
  const cards = found.samples.map(({ id, words, image }) => card(image, words || id, () => choose(id)));
  if (!more) { find(".sample-list .cards").replaceChildren(); listed = 0; }
  listed += cards.length;
  find(".sample-list .cards").append(...cards);
  find(".more").hidden = !found.more;
}

// ---------------------------------------------------------------- a session

function take(found, number) {
  for (const [digest, url] of Object.entries(found.pictures)) pictures.set(digest, url);
  session = found;
  own.add(found.id);
  const begins = find(".work").hidden;
  find(".begin").hidden = true;
  find(".work").hidden = false;
  show(number);
  if (begins) typeIn("#studio-words");
  if (session.sample) askScores();
}

async function askScores() {
  const { id } = session;
  const found = await ask("scores", { id });
  if (found && session && session.id === id) { scores.set(id, found.scores); answer(); }
}

function show(number) {
  at = number;
  const turn = turnOf(at), before = designOf(turnOf(turn.parent));
  find(".title").textContent = session.title;
  find(".now").src = imageOf(turn);
  const compares = Boolean(turn.image && before);
  find(".compare").hidden = !compares;
  find("[name=map]").closest("label").hidden = !compares;
  if (compares) find(".before").src = pictures.get(before.image);
  find("[type=range]").value = 100;
  compare();
  drawMap();
  find(".place").textContent = turn.parent ? "" : "The beginning";
  strip();
  answer();
  resetPicture();
  label();
}

function compare() {
  const share = Number(find("[type=range]").value), before = find(".before");
  before.hidden = find(".compare").hidden || share >= 100;
  before.style.clipPath = `inset(0 0 0 ${share}%)`;
}

async function drawMap() {
  const canvas = find(".map"), turn = turnOf(at), before = designOf(turnOf(turn.parent));
  canvas.hidden = !find("[name=map]").checked || !turn.image || !before;
  if (canvas.hidden) return;
  const [old, now] = await Promise.all([pictures.get(before.image), pictures.get(turn.image)].map(loaded));
  canvas.width = now.naturalWidth;
  canvas.height = now.naturalHeight;
  const pixels = (image) => {
    const sheet = make("canvas", { width: canvas.width, height: canvas.height }).getContext("2d", { willReadFrequently: true });
    sheet.drawImage(image, 0, 0, canvas.width, canvas.height);
    return sheet.getImageData(0, 0, canvas.width, canvas.height);
  };
  const a = pixels(old).data, out = pixels(now), b = out.data;
  for (let i = 0; i < b.length; i += 4) {
    const changed = Math.abs(a[i] - b[i]) + Math.abs(a[i + 1] - b[i + 1]) + Math.abs(a[i + 2] - b[i + 2]) > 36;
    const grey = 255 - (255 - (b[i] + b[i + 1] + b[i + 2]) / 3) * 0.35;
    if (!changed) b[i] = b[i + 1] = b[i + 2] = grey;
  }
  canvas.getContext("2d").putImageData(out, 0, 0);
}

const loaded = (url) => new Promise((done, failed) => {
  const image = new Image();
  image.onload = () => done(image);
  image.onerror = failed;
  image.src = url;
});

function stripItem(turn) {
  const picture = turn.image ? make("img", { src: pictures.get(turn.image), alt: "" }) : make("div", { className: "none", textContent: "No design" });
  const words = turn.words || (turn.source === "sample" ? "The draft of the sample" : "The picture");
  const mark = turn.accepted === true ? "✓ " : turn.accepted === false ? "✗ " : "";
  const button = make("button", { type: "button" }, picture, make("span", { textContent: mark + words }));
  button.setAttribute("aria-current", String(turn.number === at));
  button.addEventListener("click", () => show(turn.number));
  return make("li", {}, button);
}

function strip() {
  let last = turnOf(at); // the way goes on to the newest turn that follows from this one
  for (let next; (next = session.turns.filter((turn) => turn.parent === last.number).at(-1)); ) last = next;
  const way = wayTo(last), others = session.turns.filter((turn) => !way.includes(turn));
  const focused = Boolean(find(".strip :focus"));
  find(".work > .strip").replaceChildren(...way.map(stripItem));
  find(".others").hidden = !others.length;
  find(".others .strip").replaceChildren(...others.map(stripItem));
  const current = find(".strip [aria-current=true]");
  if (focused) current.focus({ preventScroll: true });
  current.scrollIntoView({ block: "nearest", inline: "nearest" });
}

const FAILED = { refused: "Refused", timeout: "Took too long", error: "Failed", no_image: "No picture came back", invalid_image: "The picture can't be used" };

function answer() {
  const turn = turnOf(at), parts = [];
  if (turn.status !== "ok") parts.push(make("p", { className: "failed", textContent: `${FAILED[turn.status] || turn.status}. The design is as it was.` }));
  if (turn.message) parts.push(make("p", { textContent: turn.message }));
  const found = scores.get(session.id)?.[at];
  if (found) {
    const row = (name, ...values) => make("tr", {}, make(name === "Score" ? "th" : "td", { textContent: name }), ...values.map((value) => make(name === "Score" ? "th" : "td", { textContent: value })));
    const list = make("table", { className: "scores" }, make("thead", {}, row("Score", "draft", "now")), make("tbody", {}, ...found.map((one) => row(one.label, one.draft, one.value))));
    parts.push(list);
  }
  if (turn.source === "edit") {
    const facts = [turn.editor, turn.seconds == null ? "" : `${turn.seconds < 10 ? turn.seconds.toFixed(1) : Math.round(turn.seconds)} s`, turn.cost ? `$${turn.cost.toFixed(4)}` : ""];
    parts.push(make("p", { className: "state", textContent: facts.filter(Boolean).join(" · ") }));
    const row = make("div", { className: "row" });
    if (turn.image) {
      row.append(pressed("Accept", turn.accepted === true, () => mark({ accepted: turn.accepted === true ? null : true, rating: turn.rating })));
      row.append(pressed("Reject", turn.accepted === false, () => mark({ accepted: turn.accepted === false ? null : false, rating: turn.rating })));
      const stars = make("div", { className: "stars" });
      stars.setAttribute("role", "group");
      stars.setAttribute("aria-label", "Rate this design");
      for (let value = 1; value <= 5; value++) {
        const star = make("button", { type: "button", textContent: value <= (turn.rating || 0) ? "★" : "☆", className: value <= (turn.rating || 0) ? "on" : "" });
        star.setAttribute("aria-label", `${value} of 5`);
        star.addEventListener("click", () => mark({ accepted: turn.accepted, rating: turn.rating === value ? null : value }));
        stars.append(star);
      }
      row.append(stars);
    }
    parts.push(row);
    const back = make("button", { type: "button", className: "quiet undo", textContent: "Undo" });
    back.addEventListener("click", () => show(turn.parent));
    const again = make("button", { type: "button", className: "quiet again", textContent: "Try again" });
    again.addEventListener("click", () => retry(turn));
    const sent = make("button", { type: "button", className: "quiet sent", textContent: "What was sent?" });
    sent.addEventListener("click", () => sheet(sentContent(turn.instruction, [
      { role: "base", image: imageOf(turnOf(turn.parent)) },
      ...(turn.reference ? [{ role: "reference", image: pictures.get(turn.reference) }] : []),
    ])));
    parts.push(make("div", { className: "row" }, back, again, sent));
  }
  // A button that is drawn anew keeps the focus; where there is none of its name, the design in the strip takes it.
  const name = (button) => button.getAttribute("aria-label") || button.textContent;
  const focused = find(".answer :focus");
  find(".answer").replaceChildren(...parts);
  if (!focused) return;
  const again = all(".answer button").find((button) => name(button) === name(focused));
  (again || find(".strip [aria-current=true]")).focus({ preventScroll: true });
}

function pressed(words, on, press) {
  const button = make("button", { type: "button", className: "quiet", textContent: words });
  button.setAttribute("aria-pressed", String(on));
  button.addEventListener("click", press);
  return button;
}

async function mark(given) {
  const number = at, found = await ask("mark", { id: session.id, turn: number, have: [...pictures.keys()], ...given });
  if (found) { session = found; strip(); answer(); }
}

// ---------------------------------------------------------------- a turn

let focusedBefore = null; // a button that is disabled loses the focus

function busy(words, cancel) {
  if (words) focusedBefore = find(":focus");
  working = words ? { cancel } : null;
  const wait = find(".wait");
  wait.hidden = !words;
  find("p", wait).textContent = words || "";
  find("button", wait).hidden = !cancel;
  all("form .main, .strip button, .undo, .again").forEach((button) => { button.disabled = Boolean(words); });
  if (!words && document.activeElement === document.body) focusedBefore?.focus({ preventScroll: true });
}

async function edit(turn, words, editor, kind, picture) {
  if (working) return;
  const ticket = crypto.getRandomValues(new Uint32Array(2)).join("-"), began = performance.now(), { id } = session;
  busy(`${editor} is working …`, () => ask("cancel", { id, ticket }));
  const clock = setInterval(() => {
    const seconds = Math.round((performance.now() - began) / 1000);
    if (seconds > 1) find(".wait p").textContent = `${editor} is working … ${seconds} s`;
  }, 500);
  const found = await ask("edit", { id, turn, words, editor, kind, picture, ticket, have: [...pictures.keys()] });
  clearInterval(clock);
  busy(null);
  if (!found || !session || session.id !== id) return found;
  find("#studio-words").value = "";
  find("[name=kind]").checked = true;
  take(found, found.turns.at(-1).number);
  return found;
}

function retry(turn) {
  const editor = find("[name=editor]").value || turn.editor;
  edit(turn.parent, turn.words, editor, turn.kind, turn.reference ? { digest: turn.reference } : null);
}

// ---------------------------------------------------------------- pictures that are shown with the words

const HOW = {
  sketch: "Draw on the design, or upload a sketch.",
  detail: "Drag a box on the picture to show a part of it, or upload a detail.",
  example: "Upload a picture of something that has what you want.",
};
const kind = () => find("[name=kind]:checked").value;
let strokes = [], stroke = null, corner = null;

function resetPicture() {
  shown = shownFrom = null;
  strokes = [];
  find(".preview img").removeAttribute("src");
  find(".box").hidden = true;
  changeKind();
}

function changeKind() {
  const wanted = kind();
  find(".shown").hidden = !wanted;
  find(".how").textContent = HOW[wanted] || "";
  find(".propose").hidden = wanted !== "example" || !offer?.assistant;
  find(".clear-ink").hidden = find(".over").hidden = wanted !== "sketch";
  offerSources(wanted === "detail");
  find(".frame").classList.toggle("drawing", wanted === "sketch" || wanted === "detail");
  find(".ink").hidden = wanted !== "sketch";
  if (wanted !== "detail") find(".box").hidden = true;
  if (wanted) { find("[type=range]").value = 100; compare(); }
  if (wanted === "sketch") drawInk();
}

function offerSources(wanted) {
  const select = find("[name=source]");
  select.hidden = !wanted;
  if (!wanted) {
    if (session) find(".now").src = imageOf(turnOf(at));
    return;
  }
  const from = [["This design", designOf(turnOf(at)).image]];
  for (const turn of session.turns) {
    const words = turn.words || "the beginning";
    if (turn.image && turn.number !== at) from.push([`Design ${turn.number}: ${words}`.slice(0, 48), turn.image]);
    if (turn.reference) from.push([`Picture shown with ${turn.number}`, turn.reference]);
  }
  if (offer.samples) from.push(["A sample of the dataset …", ""]);
  select.replaceChildren(...from.map(([textContent, value]) => make("option", { textContent, value })));
}

// The list of samples is one; in a session it is shown in a sheet, to take a detail from one of them.
const sampleList = find(".sample-list");

function sampleSheet() {
  sheet(make("h2", { textContent: "Take a detail from a sample" }), sampleList);
  listSamples(false);
}

find(".sheet").addEventListener("close", () => {
  find(".begin").insertBefore(sampleList, find(".earlier"));
  sampleList.hidden = true;
  if (!find("[name=source]").value) find("[name=source]").selectedIndex = 0;
});

async function detailOf(sample) {
  const found = await ask("sample", { sample });
  if (!found) return;
  find("[name=source]").append(make("option", { textContent: `Sample ${sample}`.slice(0, 48), value: `sample ${sample}`, selected: true }));
  pictures.set(`sample ${sample}`, found.image);
  find(".sheet").close();
  showSource();
}

function showSource() {
  const source = find("[name=source]").value;
  if (!source) { sampleSheet(); return; }
  find(".now").src = pictures.get(source);
  find(".box").hidden = find(".before").hidden = find(".map").hidden = true;
}

const sent = () => (kind() ? shownFrom || shown : null); // what is here already is named, and cut by the server

function setShown(url, from = null) {
  shown = url;
  shownFrom = url && from;
  if (url) find(".preview img").src = url;
  else find(".preview img").removeAttribute("src");
}

function inkOn(canvas, ready) {
  const pen = canvas.getContext("2d");
  pen.lineCap = pen.lineJoin = "round";
  pen.lineWidth = Math.max(2, canvas.width / 160);
  pen.strokeStyle = ready || "#d0311e";
  for (const points of strokes) {
    pen.beginPath();
    points.forEach(([x, y], place) => pen[place ? "lineTo" : "moveTo"](x * canvas.width, y * canvas.height));
    if (points.length === 1) pen.lineTo(points[0][0] * canvas.width + 0.1, points[0][1] * canvas.height);
    pen.stroke();
  }
}

function drawInk() {
  const canvas = find(".ink"), image = find(".now");
  canvas.width = image.naturalWidth || 512;
  canvas.height = image.naturalHeight || 768;
  inkOn(canvas);
}

function sketchPicture() {
  const image = find(".now");
  const sheet = make("canvas", { width: image.naturalWidth, height: image.naturalHeight }), pen = sheet.getContext("2d");
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, sheet.width, sheet.height);
  if (find("[name=over]").checked) pen.drawImage(image, 0, 0);
  inkOn(sheet, "#111");
  return sheet.toDataURL("image/png");
}

const inside = (event) => {
  const { left, top, width, height } = find(".frame").getBoundingClientRect();
  const clip = (value) => Math.min(1, Math.max(0, value));
  return [clip((event.clientX - left) / width), clip((event.clientY - top) / height)];
};

function boxFrom([x, y]) {
  const [left, right] = [corner[0], x].sort((a, b) => a - b), [top, bottom] = [corner[1], y].sort((a, b) => a - b);
  Object.assign(find(".box").style, { left: `${left * 100}%`, top: `${top * 100}%`, width: `${(right - left) * 100}%`, height: `${(bottom - top) * 100}%` });
  find(".box").hidden = false;
  return { left, top, width: right - left, height: bottom - top };
}

function cut(box) {
  const image = find(".now"), width = Math.round(box.width * image.naturalWidth), height = Math.round(box.height * image.naturalHeight);
  if (width < 12 || height < 12) { say("The box is too small; drag a larger one."); find(".box").hidden = true; return null; }
  const sheet = make("canvas", { width, height });
  sheet.getContext("2d").drawImage(image, box.left * image.naturalWidth, box.top * image.naturalHeight, width, height, 0, 0, width, height);
  return sheet.toDataURL("image/png");
}

function partOf({ left, top, width, height }) {
  const source = find("[name=source]").value, from = source.startsWith("sample ") ? { sample: source.slice(7) } : { digest: source };
  return { ...from, box: [top, left, top + height, left + width].map((edge) => Math.min(1000, edge * 1000)) };
}

const frame = find(".frame");
frame.addEventListener("pointerdown", (event) => {
  if (working || event.button || !["sketch", "detail"].includes(kind())) return;
  event.preventDefault();
  frame.setPointerCapture(event.pointerId);
  say("");
  if (kind() === "sketch") { stroke = [inside(event)]; strokes.push(stroke); drawInk(); }
  else corner = inside(event);
});
frame.addEventListener("pointermove", (event) => {
  if (stroke) { stroke.push(inside(event)); drawInk(); }
  else if (corner) boxFrom(inside(event));
});
frame.addEventListener("pointerup", (event) => {
  if (stroke) { stroke = null; setShown(sketchPicture()); }
  else if (corner) { const box = boxFrom(inside(event)); corner = null; setShown(cut(box), partOf(box)); }
});
frame.addEventListener("pointercancel", () => { stroke = corner = null; });

let uploadFor = null;
function upload(target) { uploadFor = target; find(".file").value = ""; find(".file").click(); }

find(".file").addEventListener("change", (event) => {
  const file = event.target.files[0];
  if (!file) return;
  if (file.size > 32 * 2 ** 20) { say("The picture has more than 32 MiB; give a smaller one."); return; }
  const reader = new FileReader();
  reader.onload = () => {
    // A file that the browser names no type for comes as application/octet-stream; the server looks at what is in it.
    const url = String(reader.result);
    if (uploadFor === "start") start({ picture: url });
    else { strokes = []; drawInk(); find(".box").hidden = true; setShown(url); }
  };
  reader.onerror = () => say("The picture can't be read; choose it again.");
  reader.readAsDataURL(file);
});

// ---------------------------------------------------------------- the assistant

async function assist(wanted) {
  if (working) return;
  const { id } = session, turn = at, words = find("#studio-words").value;
  busy("The assistant is reading …", null);
  const found = await ask("assist", { id, turn, words, wanted, picture: sent() });
  busy(null);
  if (!found || session?.id !== id || at !== turn) return;
  if (wanted) { sheet(proposals(found.proposals, turn, shown)); return; }
  const [{ words: precise, box }] = found.proposals;
  find("#studio-words").value = precise;
  find("#studio-words").focus();
  if (box && kind() !== "detail") {
    const [top, left, bottom, right] = box.map((edge) => `${edge / 10}%`);
    Object.assign(find(".box").style, { left, top, width: `calc(${right} - ${left})`, height: `calc(${bottom} - ${top})` });
    find(".box").hidden = false;
  }
}

function proposals(list, turn, picture) {
  const items = list.map(({ words, box }) => {
    const area = make("textarea", { rows: 2, value: words, maxLength: 4000 });
    area.setAttribute("aria-label", "Proposed change");
    const canvas = make("canvas"), use = make("button", { type: "button", className: "main", textContent: "Change it" });
    use.disabled = true;
    loaded(picture).then((image) => {
      const [top, left, bottom, right] = box, width = image.naturalWidth / 1000, height = image.naturalHeight / 1000;
      canvas.width = Math.max(1, Math.round((right - left) * width));
      canvas.height = Math.max(1, Math.round((bottom - top) * height));
      canvas.getContext("2d").drawImage(image, -left * width, -top * height, image.naturalWidth, image.naturalHeight);
      use.disabled = false;
    });
    use.addEventListener("click", () => {
      find(".sheet").close();
      edit(turn, area.value, find("[name=editor]").value, "detail", canvas.toDataURL("image/png"));
    });
    return make("li", {}, canvas, area, use);
  });
  return [
    make("h2", { textContent: "Three changes that lead to your picture" }),
    make("p", { textContent: "Correct the words if you like. The part of your picture beside them is shown with them." }),
    make("ol", { className: "proposals" }, ...items),
  ];
}

// ---------------------------------------------------------------- sheets and files

function sheet(...content) {
  find(".sheet .content").replaceChildren(...content.flat());
  find(".sheet").showModal();
}

function sentContent(instruction, images) {
  const figures = images.map(({ role, image }) => make("figure", {}, make("img", { src: image, alt: role }), make("figcaption", { textContent: role === "base" ? "The design" : "The picture shown" })));
  return [make("h2", { textContent: "What the editor is sent" }), make("pre", { textContent: instruction }), make("div", { className: "images" }, ...figures)];
}

async function preview() {
  const found = await ask("preview", { id: session.id, turn: at, words: find("#studio-words").value, editor: find("[name=editor]").value, picture: sent() });
  if (found) sheet(sentContent(found.instruction, found.images));
}

function vocabularySheet() {
  const garments = Object.entries(offer.vocabulary).map(([garment, features]) => {
    const list = make("dl");
    for (const [name, values] of Object.entries(features)) list.append(make("dt", { textContent: name }), make("dd", { textContent: String(values) }));
    return make("details", {}, make("summary", { textContent: garment }), list);
  });
  sheet([make("h2", { textContent: "What the drawn designer knows" }), make("p", { textContent: "It is a parametric drawing, no model. Words that it does not know are named in its answer." }), ...garments]);
}

function save({ name, kind: type, data }) {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const url = URL.createObjectURL(new Blob([bytes], { type }));
  make("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

// Three turns become the differences of a sample; their words can be corrected, their boxes drawn anew.
async function chooseDifferences() {
  const number = at, { id } = session, found = await ask("differences", { id, turn: number });
  if (!found) return;
  const picture = imageOf(turnOf(number));
  const items = found.differences.map((difference, place) => {
    const use = make("input", { type: "checkbox", checked: place >= found.differences.length - 3 });
    use.setAttribute("aria-label", `Use change ${place + 1}`);
    const words = make("textarea", { rows: 2, value: difference.words, maxLength: 4000 });
    words.setAttribute("aria-label", `Words of change ${place + 1}`);
    const mark = make("div", { className: "box" });
    const frame = make("div", { className: "frame drawing" }, make("img", { src: picture, alt: "The finished design", draggable: false }), mark);
    let box = difference.box, from = null;
    const outline = () => {
      mark.hidden = !box;
      if (box) Object.assign(mark.style, { top: `${box[0] / 10}%`, left: `${box[1] / 10}%`, height: `${(box[2] - box[0]) / 10}%`, width: `${(box[3] - box[1]) / 10}%` });
    };
    const point = (event) => {
      const { left, top, width, height } = frame.getBoundingClientRect(), clip = (value) => Math.min(1000, Math.max(0, value * 1000));
      return [clip((event.clientY - top) / height), clip((event.clientX - left) / width)];
    };
    const draw = (event) => {
      const [y, x] = point(event);
      if (Math.abs(y - from[0]) > 8 && Math.abs(x - from[1]) > 8) box = [Math.min(y, from[0]), Math.min(x, from[1]), Math.max(y, from[0]), Math.max(x, from[1])];
      outline();
    };
    frame.addEventListener("pointerdown", (event) => { event.preventDefault(); frame.setPointerCapture(event.pointerId); from = point(event); });
    frame.addEventListener("pointermove", (event) => { if (from) draw(event); });
    frame.addEventListener("pointerup", (event) => { if (from) draw(event); from = null; });
    frame.addEventListener("pointercancel", () => { from = null; });
    outline();
    return { row: make("li", {}, use, frame, words), told: () => (use.checked ? { turn: difference.turn, words: words.value, box } : null) };
  });
  const go = make("button", { type: "button", className: "main", textContent: "Save the sample" });
  const problem = make("p", { className: "problem" });
  problem.setAttribute("role", "alert");
  go.addEventListener("click", async () => {
    const file = await ask("download", { id, turn: number, form: "sample", differences: items.map(({ told }) => told()).filter(Boolean) });
    problem.textContent = file ? "" : find(".error").textContent;
    if (file) { save(file); find(".sheet").close(); }
  });
  sheet(
    make("h2", { textContent: "A sample for a benchmark" }),
    make("p", { textContent: "This design becomes the original, what you began with the draft. Choose three changes; correct what they say, and drag a box where it is not around the change." }),
    make("ol", { className: "differences" }, ...items.map(({ row }) => row)),
    problem,
    go,
  );
}

async function saveAs(form) {
  find(".menu").open = false;
  if (form === "sample") { chooseDifferences(); return; }
  const found = await ask("download", { id: session.id, turn: at, form });
  if (found) save(found);
}

// ---------------------------------------------------------------- wiring

find(".from-words").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!working) start({ words: find("#studio-first").value, generator: find("[name=generator]").value });
});
find(".turn").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (kind() && !shown) { say(`You chose to show a picture. ${HOW[kind()]}`); return; }
  await edit(at, find("#studio-words").value, find("[name=editor]").value, kind() || null, sent());
});
all("textarea").forEach((area) => area.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); area.form.requestSubmit(); }
}));
find(".upload").addEventListener("click", () => upload("start"));
find(".upload-shown").addEventListener("click", () => upload("turn"));
find(".from-sample").addEventListener("click", () => listSamples(false));
find("[name=find]").addEventListener("input", () => listSamples(false));
find(".more").addEventListener("click", () => listSamples(true));
find(".anew").addEventListener("click", () => { session = null; find(".work").hidden = true; find(".begin").hidden = false; typeIn("#studio-first"); begin(); });
find(".cancel").addEventListener("click", () => working?.cancel?.());
find("[type=range]").addEventListener("input", compare);
find("[name=map]").addEventListener("change", drawMap);
find("[name=over]").addEventListener("change", () => { if (strokes.length) setShown(sketchPicture()); });
find(".clear-ink").addEventListener("click", resetPicture);
all("[name=kind]").forEach((input) => input.addEventListener("change", resetPicture));
all("[name=generator], [name=editor]").forEach((select) => select.addEventListener("change", label));
find("[name=source]").addEventListener("change", showSource);
all(".words-known").forEach((button) => button.addEventListener("click", vocabularySheet));
find(".what").addEventListener("click", preview);
find(".precise").addEventListener("click", () => assist(false));
find(".propose").addEventListener("click", () => {
  if (shown) assist(true);
  else say("Upload a picture of what you want first.");
});
find(".sheet .close").addEventListener("click", () => find(".sheet").close());
all("[data-form]").forEach((button) => button.addEventListener("click", () => saveAs(button.dataset.form)));

begin();
