// Draws the charts, and again when the system switches between light and dark.
const LIGHT = {ink: '#14140f', soft: '#5c5b55', line: '#e9e8e2', mark: '#2a78d6', bad: '#b3261e',
  ramp: ['#a9cbf5', '#6aa3e6', '#256abf', '#0d2f5e'], ring: '#ffffff'};
const DARK = {ink: '#f4f3ee', soft: '#b9b8ae', line: '#2f2e2a', mark: '#6da7ec', bad: '#f2938c',
  ramp: ['#26508a', '#3579c8', '#86b6ef', '#e4f0ff'], ring: '#1d1d1b'};
const scheme = matchMedia('(prefers-color-scheme: dark)');
function theme(c) {
  return {background: 'transparent', font: 'system-ui, sans-serif', view: {stroke: null},
    range: {ramp: c.ramp}, mark: {color: c.mark},
    axis: {labelColor: c.soft, titleColor: c.soft, gridColor: c.line, domainColor: c.line,
      tickColor: c.line, titleFontWeight: 'normal', labelFontSize: 11, titleFontSize: 12},
    axisX: {grid: false},
    legend: {labelColor: c.soft, titleColor: c.soft, titleFontWeight: 'normal'},
    style: {note: {color: c.soft}, 'note-text': {color: c.soft, fontSize: 11},
      'note-rim': {color: c.ring, stroke: c.ring, strokeWidth: 4, fontSize: 11},
      dot: {stroke: c.ring, strokeWidth: 1}, lost: {color: c.bad}, mean: {color: c.soft}}};
}
let views = [];
async function draw() {
  views.forEach(result => result.finalize());
  const dark = scheme.matches;
  const options = {actions: false, renderer: 'svg', config: theme(dark ? DARK : LIGHT),
    tooltip: {theme: dark ? 'dark' : 'light'}};
  views = await Promise.all(Object.entries(CHARTS).map(
    ([id, spec]) => vegaEmbed('#' + id, spec, options)));
}
draw();
scheme.addEventListener('change', draw);
