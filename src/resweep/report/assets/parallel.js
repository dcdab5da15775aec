// Parallel coordinates: lines over all axes, and ranges that the reader drags along them.
const AXIS_REACH = 22;  // pixels on both sides of an axis, in which a drag is meant for it

// Where a value is on an axis, from 0 to 1; null if it has no place there.
function placeOn(axis, value) {
  if (value === null || value === undefined) return null;
  if (axis.places) return Object.hasOwn(axis.places, value) ? axis.places[value] : null;
  if (axis.high === axis.low) return 0.5;
  const part = axis.log ? Math.log(value / axis.low) / Math.log(axis.high / axis.low)
    : (value - axis.low) / (axis.high - axis.low);
  const kept = Math.min(Math.max(part, 0), 1);
  return axis.flip ? 1 - kept : kept;
}

class ParallelChart {
  constructor(chart, spec, about, embed) {
    Object.assign(this, {chart, spec, about, embed});
    this.rows = [...trialsOf(about.phase).values()].filter(row => row.final !== null);
    for (const row of this.rows) row.places = about.axes.map(axis => placeOn(axis, row[axis.key]));
    this.brushes = new Map();  // axis -> [low, high]
    this.held = [];  // the trials in all of them
    this.drawn = new Set(this.someRows());
    this.clear = button('Clear ranges', () => {
      this.brushes.clear();
      selectTrials(about.phase, []);
    });
    chart.before(element('div', {class: 'chart-tools'}, this.clear));
    chart.addEventListener('dblclick', () => this.clear.click());
  }

  // The best fifth of what is drawn are the best trials, the others are evenly spaced; rows come
  // worst first.
  someRows() {
    const {rows, about: {most}} = this;
    if (rows.length <= most) return rows;
    const best = Math.round(most / 5), others = rows.length - best;
    const every = others / (most - best);
    return [...Array.from({length: most - best}, (_, at) => rows[Math.floor(at * every)]),
      ...rows.slice(others)];
  }

  async draw() {
    this.view = await this.embed(this.spec);
    onDrag(this.view, this.chart, {
      drag: (from, to) => this.brush(from, to, false),
      done: (from, to) => this.brush(from, to, true),
      click: at => this.click(at),
    });
    await this.fill();
    return this.view;
  }

  axisAt(pixel) {
    const scale = this.view.scale('x');
    const axis = Math.round(scale.invert(pixel));
    const isNear = axis in this.about.axes && Math.abs(scale(axis) - pixel) <= AXIS_REACH;
    return isNear ? axis : null;
  }

  brush(from, to, isDone) {
    const axis = this.axisAt(from.x);
    if (axis === null) return;
    const y = this.view.scale('y');
    const range = [from.y, to.y].map(pixel => Math.min(Math.max(y.invert(pixel), 0), 1));
    this.brushes.set(axis, range.sort((a, b) => a - b));
    if (isDone) this.choose(); else this.fill();
  }

  choose() {
    const ranges = [...this.brushes];
    const inside = row => ranges.every(([axis, [low, high]]) =>
      row.places[axis] !== null && row.places[axis] >= low && row.places[axis] <= high);
    this.held = ranges.length ? this.rows.filter(inside).map(row => row.t) : [];
    selectTrials(this.about.phase, this.held);
  }

  click(at) {
    const axis = this.axisAt(at.x);
    if (axis !== null && this.brushes.delete(axis)) return this.choose();
    const x = this.view.scale('x'), y = this.view.scale('y');
    const place = x.invert(at.x), left = Math.floor(place), share = place - left;
    let best = null;
    for (const row of this.drawn) {
      const a = row.places[left], b = row.places[left + 1];
      if (a == null || b == null) continue;
      const away = Math.abs(y(a + share * (b - a)) - at.y);
      if (away <= 8 && (best === null || away < best.away)) best = {row, away};
    }
    if (best) toggleTrial(this.about.phase, best.row.t);
  }

  select() {
    // A selection from elsewhere is not what the ranges hold.
    const chosen = selectedOf(this.about.phase);
    if (chosen.size !== this.held.length || !this.held.every(t => chosen.has(t))) {
      this.brushes.clear();
      this.held = [];
    }
    return this.fill();
  }

  async fill() {
    const chosen = selectedOf(this.about.phase);
    const points = row => row.places.flatMap((y, at) =>
      y === null ? [] : [{t: row.t, rank: row.rank, at, y}]);
    const isChosen = this.rows.filter(row => chosen.has(row.t)).slice(-this.about.most);
    this.view.data('lines', [...this.drawn].flatMap(points));
    this.view.data('chosen', isChosen.flatMap(points));
    this.view.data('brushes', [...this.brushes].map(([at, [low, high]]) => ({at, low, high})));
    this.clear.disabled = this.brushes.size === 0;
    await this.view.runAsync();
  }
}
