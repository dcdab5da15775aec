// Makes one picture of a place in the page: the drawings in it and the text beside them, as SVG that
// needs no style sheet, or as PNG.
const SVG_NAMES = 'http://www.w3.org/2000/svg';
const LOOK = ['fill', 'stroke', 'stroke-width', 'stroke-dasharray', 'shape-rendering', 'font-family',
  'font-size', 'font-weight', 'text-anchor', 'dominant-baseline'];  // all inherited
const MARGIN = 12;  // pixels around the picture

function svgElement(tag, attributes, ...content) {
  const one = document.createElementNS(SVG_NAMES, tag);
  for (const [name, value] of Object.entries(attributes)) one.setAttribute(name, value);
  one.append(...content);
  return one;
}

// A copy of a drawing, with what the style sheet of the page makes of it as attributes.
function copyWithLook(drawing) {
  const copy = drawing.cloneNode(true);
  const copies = [copy, ...copy.querySelectorAll('*')];
  [drawing, ...drawing.querySelectorAll('*')].forEach((one, at) => {
    const look = getComputedStyle(one);
    const above = one === drawing ? null : getComputedStyle(one.parentElement);
    for (const name of LOOK) {
      const value = look.getPropertyValue(name);
      if (copies[at].hasAttribute(name) || value !== above?.getPropertyValue(name)) {
        copies[at].setAttribute(name, value);
      }
    }
  });
  copies.filter(one => one.localName === 'style').forEach(one => one.remove());
  return copy;
}

// The lines of a text node, as the page breaks them: {text, left, top, right, bottom}.
function linesOf(node) {
  const lines = [], range = document.createRange();
  let at = 0;
  for (const letter of node.data) {
    range.setStart(node, at);
    range.setEnd(node, at += letter.length);
    const {left, top, right, bottom} = range.getBoundingClientRect();
    if (right === left) continue;  // white space that is not shown
    const last = lines.at(-1);
    if (last && top < (last.top + last.bottom) / 2) {
      last.text += letter;
      last.right = right;
    } else lines.push({text: letter, left, top, right, bottom});
  }
  return lines;
}

function textOf({text, left, top, bottom}, parent) {
  const look = getComputedStyle(parent);
  const font = Object.fromEntries(['font-family', 'font-size', 'font-weight'].map(
    name => [name, look.getPropertyValue(name)]));
  return svgElement('text', {...font, x: left, y: (top + bottom) / 2, fill: look.color,
    'dominant-baseline': 'central'}, text);
}

// Returns {svg, width, height}: the picture on the background of its card, and its size in pixels.
function pictureOf(place) {
  const parts = [], boxes = [];
  for (const drawing of place.querySelectorAll('svg')) {
    const box = drawing.getBoundingClientRect(), copy = copyWithLook(drawing);
    copy.setAttribute('x', box.left);
    copy.setAttribute('y', box.top);
    parts.push(copy);
    boxes.push(box);
  }
  const walker = document.createTreeWalker(place, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (node.parentElement.closest('svg')) continue;
    for (const line of linesOf(node)) {
      parts.push(textOf(line, node.parentElement));
      boxes.push(line);
    }
  }
  const [left, top] = ['left', 'top'].map(side => Math.min(...boxes.map(b => b[side])) - MARGIN);
  const [width, height] = [['right', left], ['bottom', top]].map(
    ([side, start]) => Math.ceil(Math.max(...boxes.map(b => b[side])) + MARGIN - start));
  const fill = getComputedStyle(place.closest('.card')).backgroundColor;
  const whole = svgElement('svg', {width, height, viewBox: `0 0 ${width} ${height}`},
    svgElement('rect', {width, height, fill}),
    svgElement('g', {transform: `translate(${-left} ${-top})`}, ...parts));
  return {svg: new XMLSerializer().serializeToString(whole), width, height};
}

async function pngOf({svg, width, height}, scale) {
  const image = new Image();
  image.src = `data:image/svg+xml,${encodeURIComponent(svg)}`;
  await image.decode();
  const canvas = element('canvas', {width: scale * width, height: scale * height});
  canvas.getContext('2d').drawImage(image, 0, 0, canvas.width, canvas.height);
  return canvas.toDataURL('image/png');
}
