// Buttons that save the figure of a card as SVG or PNG, and those that copy a line of code.
function fileName(card, kind, otherwise) {
  const words = card.querySelector('h3').firstChild.data.toLowerCase().match(/[a-z0-9]+/g) ?? [];
  return `${words.slice(0, 8).join('-') || otherwise}.${kind}`;
}

async function saveFigure(chart, kind) {
  await drawChart(chart);  // which may not have been in view yet
  const card = chart.closest('.card'), view = window.resweepViews[chart.id];
  const before = view.background();
  view.background(getComputedStyle(card).backgroundColor);  // its text suits this one
  const url = await view.toImageURL(kind, kind === 'png' ? 2 : 1);
  view.background(before);
  save(fileName(card, kind, chart.id), url);
}

document.querySelectorAll('.chart').forEach(chart => {
  const title = chart.closest('.card').querySelector('h3');
  const label = title.textContent;
  title.after(element('span', {class: 'save'}, ...['svg', 'png'].map(kind => button(
    kind.toUpperCase(), () => saveFigure(chart, kind),
    {'aria-label': `Save ${label} as ${kind.toUpperCase()}`}))));
});

document.querySelectorAll('.drawing').forEach(place => {
  const card = place.closest('.card'), title = card.querySelector('h3');
  const act = () => saveText(fileName(card, 'svg', 'drawing'),
    new XMLSerializer().serializeToString(place.firstElementChild), 'image/svg+xml');
  title.after(element('span', {class: 'save'},
    button('SVG', act, {'aria-label': `Save ${title.textContent} as SVG`})));
});

document.querySelectorAll('.code').forEach(place => {
  const code = place.textContent, block = place.firstElementChild;
  place.append(button('Copy', event => {
    getSelection().selectAllChildren(block);  // for the keyboard, where pages must not copy
    navigator.clipboard?.writeText(code).then(
      () => event.target.textContent = 'Copied', () => {});
  }, {class: 'copy'}));
});
