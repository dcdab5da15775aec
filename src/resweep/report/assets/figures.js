// Buttons that save the figure of a card as SVG or PNG, and those that copy a line of code.
async function saveFigure(chart, kind) {
  await drawChart(chart);  // which may not have been in view yet
  const card = chart.closest('.card'), view = window.resweepViews[chart.id];
  const before = view.background();
  view.background(getComputedStyle(card).backgroundColor);  // its text suits this one
  const url = await view.toImageURL(kind, kind === 'png' ? 2 : 1);
  view.background(before);
  const words = card.querySelector('h3').textContent.toLowerCase().match(/[a-z0-9]+/g) ?? [];
  save(`${words.slice(0, 8).join('-') || chart.id}.${kind}`, url);
}

document.querySelectorAll('.chart').forEach(chart => {
  const title = chart.closest('.card').querySelector('h3');
  const label = title.textContent;
  title.after(element('span', {class: 'save'}, ...['svg', 'png'].map(kind => button(
    kind.toUpperCase(), () => saveFigure(chart, kind),
    {'aria-label': `Save ${label} as ${kind.toUpperCase()}`}))));
});

document.querySelectorAll('.code').forEach(place => {
  const code = place.textContent, block = place.firstElementChild;
  place.append(button('Copy', event => {
    getSelection().selectAllChildren(block);  // for the keyboard, where pages must not copy
    navigator.clipboard?.writeText(code).then(
      () => event.target.textContent = 'Copied', () => {});
  }, {class: 'copy'}));
});
