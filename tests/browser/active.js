// What in a page could run, or lead out of it, looked for in its source: in the page itself it may have run, and gone.
(source) => {
  const page = new DOMParser().parseFromString(source, "text/html");
  const tags = "script, iframe, frame, object, embed, base, form, link:not([rel=icon]), meta[http-equiv=refresh i]";
  const found = [...page.querySelectorAll(tags)].map((element) => `has <${element.localName}>`);
  for (const element of page.querySelectorAll("*")) {
    for (const { name, value } of element.attributes) {
      if (name.startsWith("on")) found.push(`has ${name} at <${element.localName}>`);
      if (/^(href|src|xlink:href)$/.test(name) && !/^(#|https:|data:(image|,))/.test(value)) {
        found.push(`leads to ${value}`);
      }
    }
  }
  return found;
}
