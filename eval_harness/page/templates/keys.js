// Keys, theme, and the start of it all.
const help = document.querySelector("dialog.help");
const single = help.querySelector("[name=keys]");

const remembered = (name, value) => {
  try {
    if (value === undefined) return localStorage.getItem(`fashionedit ${name}`);
    localStorage.setItem(`fashionedit ${name}`, value);
  } catch {
    // A browser that keeps nothing for files forgets the choice.
  }
  return null;
};

const theme = document.querySelector("[name=theme]");
const setTheme = (value) => {
  theme.value = value;
  if (value) document.documentElement.dataset.theme = value;
  else delete document.documentElement.dataset.theme;
};
setTheme(["light", "dark"].includes(remembered("theme")) ? remembered("theme") : "");
theme.addEventListener("change", () => {
  setTheme(theme.value);
  remembered("theme", theme.value);
});
single.checked = remembered("keys") !== "off";
single.addEventListener("change", () => remembered("keys", single.checked ? "on" : "off"));
tools.elements.help.addEventListener("click", () => help.showModal());

const current = () => {
  const focused = document.activeElement?.closest?.(".sample");
  if (focused) return order.indexOf(Number(focused.dataset.place));
  const line = parseFloat(getComputedStyle(document.documentElement).scrollPaddingTop) + 8;
  const below = order.findIndex((place) => articles[place].getBoundingClientRect().bottom > line);
  return below < 0 ? order.length : articles[order[below]].getBoundingClientRect().top > line ? below - 1 : below;
};

const goTo = (position) => {
  const article = articles[order[Math.min(Math.max(position, 0), order.length - 1)]];
  if (!article) return;
  article.focus({ preventScroll: true });
  article.scrollIntoView({ block: "start", behavior: "instant" });
};

const toggle = (name) => {
  const box = tools.elements[name];
  box.checked = !box.checked;
  update();
};

const KEYS = {
  j: () => goTo(current() + 1),
  k: () => goTo(current() - 1),
  f: () => tools.elements.search.focus(),
  "/": () => tools.elements.search.focus(),
  b: () => toggle("boxes"),
  c: () => toggle("changes"),
  x: () => articles[order[Math.max(current(), 0)]]?.querySelector("[name=pick]").click(),
  "?": () => help.showModal(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const target = event.target;
  if (viewer.open) {
    const control = target.closest("select, input");
    if ((event.key === "ArrowLeft" || event.key === "ArrowRight") && !control) moveViewer(event.key === "ArrowLeft" ? -1 : 1);
    else if (event.key === " " && mode === "flicker" && !target.closest("button, select, input")) viewer.querySelector("[name=flip]").click();
    else return;
    event.preventDefault();
    return;
  }
  if (help.open || target.closest("select, textarea, input:not([type=checkbox])")) return;
  if (target.classList.contains("sample")) {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      goTo(current() + (event.key === "ArrowDown" ? 1 : -1));
      event.preventDefault();
      return;
    }
    if (event.key === "Enter") {
      // Unprevented, the key would go on to the button that has the focus by then: the one that closes.
      event.preventDefault();
      return void target.querySelector(".enlarge")?.click();
    }
  }
  if (single.checked && KEYS[event.key]) {
    KEYS[event.key]();
    event.preventDefault();
  }
});

const start = (data) => {
  index = data;
  startList();
  startFigure();
};
if (inFile) start(parsed(inFile));
else {
  window.fashionedit = {
    index: start,
    texts: (data) => arrive("texts", data),
    sample: (place, data) => arrive(`sample ${place}`, data),
  };
}
