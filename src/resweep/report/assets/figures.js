// Buttons that save the figure of a card as SVG or PNG, and those that copy a line of code.
function fileName(card, kind, otherwise) {
  const words = card.querySelector('h3').firstChild.data.toLowerCase().match(/[a-z0-9]+/g) ?? [];
  return `${words.slice(0, 8).join('-') || otherwise}.${kind}`;
}

const SCALE = {svg: 1, png: 2};

async function saveChart(chart, kind) {
  await drawChart(chart);  // which may not have been in view yet
  const card = chart.closest('.card'), view = window.resweepViews[chart.id];
  const before = view.background();
  view.background(getComputedStyle(card).backgroundColor);  // its text suits this one
  const url = await view.toImageURL(kind, SCALE[kind]);
  view.background(before);
  save(fileName(card, kind, chart.id), url);
}

async function saveDrawing(place, kind) {
  const name = fileName(place.closest('.card'), kind, 'drawing');
  if (kind === 'png') return save(name, await pngOf(pictureOf(place), SCALE[kind]));
  // With its own styles, it is light or dark wherever it is shown.
  const own = place.querySelector(':scope > svg:only-child:has(> style)');
  saveText(name, own ? new XMLSerializer().serializeToString(own) : pictureOf(place).svg,
    'image/svg+xml');
}

function addSaveButtons(place, act) {
  const title = place.closest('.card').querySelector('h3');
  const label = title.textContent;
  title.after(element('span', {class: 'save'}, ...Object.keys(SCALE).map(kind => button(
    kind.toUpperCase(), () => act(place, kind),
    {'aria-label': `Save ${label} as ${kind.toUpperCase()}`}))));
}

document.querySelectorAll('.chart').forEach(place => addSaveButtons(place, saveChart));
document.querySelectorAll('.drawing:has(svg)').forEach(
  place => addSaveButtons(place, saveDrawing));

document.querySelectorAll('.code').forEach(place => {
  const code = place.textContent, block = place.firstElementChild;
  place.append(button('Copy', event => {
    getSelection().selectAllChildren(block);  // for the keyboard, where pages must not copy
    navigator.clipboard?.writeText(code).then(
      () => event.target.textContent = 'Copied', () => {});
  }, {class: 'copy'}));
});
