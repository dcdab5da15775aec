// Making elements of the page, for all scripts.
function element(tag, attributes = {}, ...content) {
  const one = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) one.setAttribute(name, value);
  one.append(...content);
  return one;
}

function button(text, act, attributes = {}) {
  const one = element('button', {type: 'button', ...attributes}, text);
  one.addEventListener('click', act);
  return one;
}
