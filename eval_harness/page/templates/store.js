// The data: the index at once, texts with the first search, a sample's pictures when it comes near the screen.
const inFile = document.getElementById("index");
const parsed = (element) => JSON.parse(element.textContent);
const details = [...document.querySelectorAll("script.detail")];
const arrivals = new Map();
const loaded = new Map();
const MOST_LOADED = 80;
let index = null;

const arrive = (name, value) => {
  const waiting = arrivals.get(name);
  if (waiting) waiting(value);
  arrivals.delete(name);
};

const fetchScript = (name, path) =>
  new Promise((resolve, reject) => {
    arrivals.set(name, resolve);
    const script = document.createElement("script");
    script.src = path;
    script.onload = () => script.remove();
    script.onerror = () => reject(new Error(`${path} is not there; keep index.html and data/ together`));
    document.head.append(script);
  });

class Sample {
  constructor(place, detail) {
    Object.assign(this, detail);
    this.place = place;
    this.urls = new Map();
  }
  has(picture) {
    return Array.isArray(picture);
  }
  url(picture) {
    const key = picture[0];
    if (!this.urls.has(key)) {
      const bytes = Uint8Array.from(atob(this.pictures[key]), (one) => one.charCodeAt(0));
      this.urls.set(key, URL.createObjectURL(new Blob([bytes], { type: index.type })));
    }
    return this.urls.get(key);
  }
  async image(picture) {
    const image = new Image();
    image.src = this.url(picture);
    await image.decode();
    return image;
  }
  release() {
    for (const url of this.urls.values()) URL.revokeObjectURL(url);
    this.urls.clear();
  }
}

const sampleAt = (place) => {
  if (!loaded.has(place)) {
    const detail = inFile
      ? Promise.resolve(parsed(details[place]))
      : fetchScript(`sample ${place}`, `data/samples/${String(place).padStart(5, "0")}.js`);
    loaded.set(place, detail.then((found) => new Sample(place, found)));
  }
  return loaded.get(place);
};

const forget = (isNear) => {
  for (const [place, promise] of loaded) {
    if (loaded.size <= MOST_LOADED) return;
    if (isNear(place)) continue;
    loaded.delete(place);
    promise.then((sample) => sample.release(), () => {});
  }
};

let searchTexts = null;
const textsOfAll = () => {
  searchTexts ??= inFile
    ? Promise.resolve(parsed(document.getElementById("texts")))
    : fetchScript("texts", "data/texts.js");
  return searchTexts;
};

const el = (tag, properties = {}, ...children) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === false) continue;
    if (name === "class") made.className = value;
    else if (name in made && !name.startsWith("aria")) made[name] = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((one) => one !== null && one !== undefined && one !== ""));
  return made;
};

const svg = (tag, attributes, ...children) => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
};

const nameOf = (row) => (row.prompt ? `${row.method}, ${row.prompt}` : row.method);
const words = (status) => status.replaceAll("_", " ");
const shown = (digits) => 0.5 / 10 ** digits;  // smaller differences are not seen
const fixed = (value, digits = 2) => value.toFixed(digits).replace(/^-(0\.?0*)$/, "$1");
const signed = (value, digits = 2) => (value <= -shown(digits) ? "−" : "+") + Math.abs(value).toFixed(digits);
