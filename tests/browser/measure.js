// Measures the page as it is laid out now, in the page itself. Gives what is wrong with it, a sentence each.
// On paper nothing scrolls and nothing opens.
(onPaper) => {
  const faults = new Set();
  const slack = 1; // pixels: boxes end at fractions of them
  const smallest = onPaper ? 9 : 12; // pixels
  const width = document.documentElement.clientWidth;
  const style = (element) => getComputedStyle(element);
  const shown = (element) => element.checkVisibility({ visibilityProperty: true, opacityProperty: true });
  const scrolls = (element) => !onPaper && /auto|scroll/.test(style(element).overflowX);
  const above = function* (element) {
    for (let parent = element.parentElement; parent; parent = parent.parentElement) yield parent;
  };
  const spills = (element) => {
    const { clientHeight, scrollHeight } = element;
    return style(element).overflowY === "visible" && clientHeight > 0 && scrollHeight > clientHeight + 2;
  };
  // A pixel that holds more than it shows is for screen readers.
  const aside = (element) =>
    [element, ...above(element)].some((one) => {
      const { width, height } = one.getBoundingClientRect();
      return width <= 2 && height <= 2 && style(one).overflow === "hidden";
    });
  const name = (element) => {
    const classes = [...element.classList].map((one) => `.${one}`).join("");
    const text = element.textContent.trim().replace(/\s+/g, " ");
    return `<${element.localName}${classes}> "${text.length > 60 ? `${text.slice(0, 60)}…` : text}"`;
  };

  if (document.documentElement.scrollWidth > width) {
    faults.add(`the page is ${document.documentElement.scrollWidth} px wide on a screen of ${width} px`);
  }

  for (const element of document.body.querySelectorAll("*")) {
    if (!shown(element) || aside(element)) continue;
    const waits = element.getBoundingClientRect().right <= 0; // until it gets the focus
    if (waits) element.focus();
    const box = element.getBoundingClientRect();
    if (waits) element.blur();
    if ((box.right > width + slack || box.left < -slack) && ![...above(element)].some(scrolls)) {
      faults.add(`sticks out of the screen: ${name(element)}`);
    }
    const { overflowX, overflowY } = style(element);
    const hides = (overflow) => /hidden|clip/.test(overflow) || (onPaper && overflow !== "visible");
    if (
      (hides(overflowX) && element.scrollWidth > element.clientWidth + slack) ||
      (hides(overflowY) && element.scrollHeight > element.clientHeight + slack)
    ) {
      faults.add(`is cut off: ${name(element)}`);
    }
    // What a style puts before and after an element is no element, but makes the element scroll further than it shows.
    if (![...element.children].some(spills) && spills(element)) faults.add(`is taller than its box: ${name(element)}`);
    if (onPaper && element.localName === "details" && element.lastElementChild && !shown(element.lastElementChild)) {
      faults.add(`is closed on paper: ${name(element)}`);
    }
  }

  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = texts.nextNode(); text; text = texts.nextNode()) {
    const parent = text.parentElement;
    if (!text.data.trim() || !shown(parent) || aside(parent)) continue;
    if (parseFloat(style(parent).fontSize) < smallest) {
      faults.add(`is set in ${style(parent).fontSize}: ${name(parent)}`);
    }
    const range = document.createRange();
    range.selectNodeContents(text);
    const written = range.getBoundingClientRect();
    const block = [parent, ...above(parent)].find((element) => !/^(inline|contents)$/.test(style(element).display));
    const box = block.getBoundingClientRect();
    if (!scrolls(block) && (written.right > box.right + slack || written.left < box.left - slack)) {
      faults.add(`runs out of its box: ${name(block)}`);
    }
    // Names and ids may be broken, and have to be; words and numbers are where a column is too narrow for them.
    for (const word of text.data.matchAll(/(?<![^\s(])(\p{L}|\d|(?<=\d)[,.](?=\d)){2,14}(?=[\s.,:;)]|$)/gu)) {
      range.setStart(text, word.index);
      range.setEnd(text, word.index + word[0].length);
      if (new Set([...range.getClientRects()].map((line) => line.top)).size > 1) {
        faults.add(`breaks the word ${word[0]}: ${name(parent)}`);
      }
    }
  }

  // What is behind everything, over what the browser itself paints there.
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const paint = document.createElement("canvas").getContext("2d");
  paint.fillStyle = dark && style(document.documentElement).colorScheme.includes("dark") ? "black" : "white";
  paint.fillRect(0, 0, 1, 1);
  for (const element of [document.documentElement, document.body]) {
    paint.fillStyle = style(element).backgroundColor;
    paint.fillRect(0, 0, 1, 1);
  }
  const [red, green, blue] = paint.getImageData(0, 0, 1, 1).data;
  if (0.2126 * red + 0.7152 * green + 0.0722 * blue < 128 !== dark) faults.add(`is not ${dark ? "dark" : "light"}`);

  const heads = [...document.querySelectorAll("h1")].filter((head) => shown(head) && head.innerText.trim());
  if (heads.length !== 1) faults.add(`has ${heads.length} h1 that can be seen`);
  return [...faults];
}
