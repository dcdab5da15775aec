// Draws the charts: each when it comes into view, and again when the system switches between light
// and dark. Colours are told apart by readers who do not see all of them: M. Okabe and K. Ito,
// "Color Universal Design" (2008); ranks also differ in dashes and shapes.
const LIGHT = {ink: '#14140f', soft: '#5c5b55', line: '#e9e8e2', mark: '#2a78d6', bad: '#b3261e',
  ramp: ['#a9cbf5', '#6aa3e6', '#256abf', '#0d2f5e'], ring: '#ffffff',
  category: ['#0072b2', '#d55e00', '#00805f', '#b5b4ac', '#a1477f', '#8a6d00', '#3a9bd9'],
  heatmap: ['#f2efe4', '#dfe5e6', '#c3d7e6', '#9fc3e2', '#72a7d8', '#4584c4', '#1f5a9e']};
const DARK = {ink: '#f4f3ee', soft: '#b9b8ae', line: '#2f2e2a', mark: '#6da7ec', bad: '#f2938c',
  ramp: ['#26508a', '#3579c8', '#86b6ef', '#e4f0ff'], ring: '#1d1d1b',
  category: ['#56b4e9', '#f0955a', '#33c9a0', '#6b6a63', '#d68ab8', '#d9b93b', '#9fd0f5'],
  heatmap: ['#26262a', '#28374a', '#2b4a6e', '#336396', '#4a85bf', '#7bade0', '#c2dcf7']};
const scheme = matchMedia('(prefers-color-scheme: dark)');
const MOST_SVG_MARKS = 1500;  // more are drawn on a canvas

function theme(c) {
  return {background: 'transparent', font: 'system-ui, sans-serif', view: {stroke: null},
    range: {ramp: c.ramp, category: c.category, heatmap: c.heatmap}, mark: {color: c.mark},
    axis: {labelColor: c.soft, titleColor: c.soft, gridColor: c.line, domainColor: c.line,
      tickColor: c.line, titleFontWeight: 'normal', labelFontSize: 11, titleFontSize: 12,
      labelSeparation: 6},
    axisX: {grid: false},
    legend: {labelColor: c.soft, titleColor: c.soft, titleFontWeight: 'normal'},
    style: {note: {color: c.soft}, 'note-text': {color: c.soft, fontSize: 11},
      'note-rim': {color: c.ring, stroke: c.ring, strokeWidth: 4, fontSize: 11},
      dot: {stroke: c.ring, strokeWidth: 1}, lost: {color: c.bad}, mean: {color: c.soft},
      ring: {stroke: c.ink, fill: null}, chosen: {color: c.ink},
      over: {color: c.ink, stroke: c.ring, strokeWidth: 1}}};
}

// The trials of a phase, worst first: name -> row. Each call makes new rows, since Vega adds to
// those that it draws.
const phaseContents = new Map([...document.querySelectorAll('script.trials')].map(
  place => [place.dataset.phase, JSON.parse(place.textContent)]));

function trialsOf(phase) {
  const found = new Map();
  const {labels, columns} = phaseContents.get(phase) ?? {labels: {}, columns: {}};
  const names = Object.keys(columns);
  (columns.t ?? []).forEach((t, at) => {
    found.set(t, Object.fromEntries(names.map(name => [name, columns[name][at]])));
  });
  found.labels = labels;
  return found;
}

function toggleTrial(phase, trial) {
  document.dispatchEvent(new CustomEvent('resweep:toggle', {detail: {phase, trial}}));
}

// A chart that is drawn as it is, with a ring around each selected mark.
class PlainChart {
  constructor(chart, spec, about, embed) {
    Object.assign(this, {chart, about, embed});
    this.spec = about.trials
      ? {...spec, datasets: {...spec.datasets, trials: [...trialsOf(about.phase).values()]}} : spec;
  }

  async draw() {
    this.view = await this.embed(this.spec);
    if (this.about.phase) {
      this.view.addEventListener('click', (_, item) => {
        const trial = item?.datum?.t;
        if (typeof trial === 'string') toggleTrial(this.about.phase, trial);
      });
      await this.select();
    }
    return this.view;
  }

  async select() {
    const chosen = selectedOf(this.about.phase);
    this.view.signal('picked', Object.fromEntries([...chosen].map(t => [t, 1])));
    await this.view.runAsync();
  }
}

const CHART_KINDS = {curves: CurvesChart, parallel: ParallelChart};
const chartPlaces = [...document.querySelectorAll('.chart')].filter(place => place.id in CHARTS);
for (const place of chartPlaces) place.style.minHeight = `${CHARTS[place.id].height + 40}px`;
const chartsDrawn = new Map();  // id -> chart, once its drawing has begun
window.resweepViews = {};  // id -> Vega's view, once it is drawn

function drawChart(place) {
  const id = place.id;
  if (!chartsDrawn.has(id)) {
    const {usermeta: about = {}, ...spec} = CHARTS[id];
    let result = null;
    const embed = async asked => {
      result?.finalize();
      const dark = scheme.matches;
      result = await vegaEmbed(place, asked, {
        actions: false, renderer: about.marks > MOST_SVG_MARKS ? 'canvas' : 'svg',
        config: theme(dark ? DARK : LIGHT), tooltip: {theme: dark ? 'dark' : 'light'}});
      window.resweepViews[id] = result.view;
      return result.view;
    };
    const one = new (CHART_KINDS[about.kind] ?? PlainChart)(place, spec, about, embed);
    one.drawing = one.draw();
    chartsDrawn.set(id, one);
  }
  return chartsDrawn.get(id).drawing;
}

function drawCharts(places) {
  return Promise.all(places.map(drawChart)).then(() => {});
}

// Those that are in view now: resweepDrawn says when they are there. The others follow as they come
// into view, or before the page is printed; so do their selected trials.
const inView = new Set();
window.resweepDrawAll = () => drawCharts(chartPlaces).then(() => showSelected(chartPlaces));
window.resweepDrawn = new Promise((resolve, reject) => {
  const watch = new IntersectionObserver(entries => {
    for (const {target, isIntersecting} of entries) {
      inView[isIntersecting ? 'add' : 'delete'](target);
    }
    drawCharts([...inView]).then(() => showSelected([...inView])).then(resolve, reject);
  }, {rootMargin: '300px 0px'});
  chartPlaces.forEach(place => watch.observe(place));
  if (!chartPlaces.length) resolve();
});
addEventListener('beforeprint', window.resweepDrawAll);
scheme.addEventListener('change', () => {
  for (const one of chartsDrawn.values()) one.drawing = one.draw();
});

// Shows what is selected in those of these charts that do not show it yet.
function showSelected(places) {
  return Promise.all(places.map(place => {
    const one = chartsDrawn.get(place.id);
    if (!one?.isOutdated) return null;
    one.isOutdated = false;
    return one.drawing.then(() => one.select());
  })).then(() => {});
}

document.addEventListener('resweep:select', event => {
  for (const one of chartsDrawn.values()) {
    if (one.about.phase === event.detail.phase) one.isOutdated = true;
  }
  showSelected([...inView]);
});
