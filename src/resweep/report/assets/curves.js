// Learning curves: smoothing, axes, zoom by dragging, the value under the cursor, selection.
const NEAR = 14;  // pixels: a curve further from the cursor is not meant

// Averages a curve exponentially with a weight from 0 to 1, as W&B does: the first values count
// less than their weight would say, so that the average does not start at 0.
function smoothed(values, weight) {
  let last = 0, known = 0;
  return values.map(value => {
    last = last * weight + (1 - weight) * value;
    known = known * weight + (1 - weight);
    return last / known;
  });
}

function withScale(spec, axis, type) {
  const copy = structuredClone(spec);
  for (const layer of copy.layer) {
    const channel = layer.encoding[axis];
    if (!channel?.scale) continue;
    channel.scale.type = type;
    delete channel.scale.zero;  // a logarithm has none
  }
  return copy;
}

function isInside({x0, x1, y0, y1}, x, y) {
  return x0 <= x && x <= x1 && y0 <= y && y <= y1;
}

class CurvesChart {
  constructor(chart, spec, about, embed) {
    Object.assign(this, {chart, spec, about, embed});
    this.trials = trialsOf(about.phase);
    this.state = {x: null, y: null, logX: false, logY: false, weight: 0, whole: false};
    for (const curve of about.curves) curve.g = this.trials.get(curve.t)?.g ?? 'others';
    this.ends = new Map(about.ends.map(end => [end.t, end]));
    this.note = element('div', {class: 'cursor-note', hidden: ''});
    chart.before(this.controls());
    chart.after(this.note);
    chart.addEventListener('dblclick', () => this.zoom(null, null));
    chart.addEventListener('pointermove', event => this.point(event));
    chart.addEventListener('pointerleave', () => this.leave());
  }

  controls() {
    const check = (text, key, able = true) => {
      const box = element('input', {type: 'checkbox'});
      box.disabled = !able;
      box.addEventListener('change', () => {
        this.state[key] = box.checked;
        this.state.x = this.state.y = null;
        this.draw();
      });
      return element('label', able ? {} : {title: 'Some values are not above 0'}, box, ` ${text}`);
    };
    const slider = element('input', {type: 'range', min: 0, max: 0.99, step: 0.01, value: 0});
    const weight = element('output', {}, '0');
    slider.addEventListener('input', () => {
      this.state.weight = Number(slider.value);
      weight.textContent = slider.value;
      this.fill();
    });
    const smoothing = this.about.thinned
      ? {title: 'Averages the points in this chart, which are fewer than were logged'} : {};
    const isCut = String(this.about.first) !== String(this.about.whole);
    return element('div', {class: 'chart-tools'},
      element('label', smoothing, 'Smoothing ', slider, ' ', weight), check('Log steps', 'logX'),
      check('Log values', 'logY', this.about.positive),
      ...(isCut ? [check('Whole range', 'whole')] : []),
      button('Reset zoom', () => this.zoom(null, null)));
  }

  async draw() {
    const ranges = this.ranges();
    let spec = {...this.spec, params: this.spec.params.map(
      one => one.name in ranges ? {...one, value: ranges[one.name]} : one)};
    if (this.state.logX) spec = withScale(spec, 'x', 'log');
    if (this.state.logY) spec = withScale(spec, 'y', 'log');
    this.view = await this.embed(spec);
    onDrag(this.view, this.chart, {
      drag: (from, to) => this.frame(from, to),
      done: (from, to) => {
        this.frame(null);
        const [x0, x1] = [from.x, to.x].sort((a, b) => a - b).map(this.inverse('x'));
        const [y1, y0] = [from.y, to.y].sort((a, b) => a - b).map(this.inverse('y'));
        if (x1 > x0 && y1 > y0) this.zoom([x0, x1], [y0, y1]);
      },
      click: at => {
        const near = this.nearest(at);
        if (near) toggleTrial(this.about.phase, near.curve.t);
      },
    });
    await this.fill();
    return this.view;
  }

  inverse(axis) {
    const scale = this.view.scale(axis);
    return pixel => scale.invert(pixel);
  }

  // The rectangle that is being dragged.
  frame(from, to) {
    this.rectangle?.remove();
    this.rectangle = null;
    if (from === null) return;
    const drawing = this.chart.querySelector('canvas, svg');
    const {left, top} = cornerOf(this.view);
    const inner = drawing.getBoundingClientRect(), outer = this.chart.getBoundingClientRect();
    this.rectangle = element('div', {class: 'brush'});
    Object.assign(this.rectangle.style, {
      left: `${inner.left - outer.left + left + Math.min(from.x, to.x)}px`,
      top: `${inner.top - outer.top + top + Math.min(from.y, to.y)}px`,
      width: `${Math.abs(to.x - from.x)}px`, height: `${Math.abs(to.y - from.y)}px`});
    this.chart.append(this.rectangle);
  }

  zoom(x, y) {
    this.state.x = x;
    this.state.y = y;
    return this.fill();
  }

  // The ranges of both axes, as chosen or by default.
  ranges() {
    const {state, about} = this;
    let [x0, x1] = state.x ?? about.steps, [y0, y1] = state.y ?? about[state.whole ? 'whole' : 'first'];
    if (state.logX && x0 <= 0) x0 = this.firstAbove0();
    if (state.logY && y0 <= 0) y0 = this.smallest();
    return {x0, x1: x1 > x0 ? x1 : x0 + 1, y0, y1};
  }

  firstAbove0() {
    return Math.min(...this.about.curves.map(c => c.x.find(x => x > 0) ?? Infinity));
  }

  smallest() {
    return this.about.curves.reduce((least, c) => c.y.reduce((a, b) => Math.min(a, b), least),
      Infinity);
  }

  // Puts lines, ends and ranges into the view.
  async fill() {
    const {view, state, about} = this, ranges = this.ranges();
    const chosen = selectedOf(about.phase);
    const rows = {lines: [], raw: [], chosen: [], ends: []};
    if (about.curves.some(curve => curve.x.length === 1)) rows.dots = [];
    this.shown = [];
    for (const curve of about.curves) {
      const isChosen = chosen.has(curve.t);
      if (!curve.drawn && !isChosen) continue;
      const y = state.weight ? smoothed(curve.y, state.weight) : curve.y;
      const add = (name, values) => curve.x.forEach((x, at) => {
        if (!(state.logX && x <= 0)) rows[name].push({t: curve.t, g: curve.g, x, y: values[at]});
      });
      add('lines', y);
      if (state.weight && (isChosen || curve.g !== 'others' || about.curves.length <= 40)) {
        add('raw', curve.y);
      }
      if (isChosen) add('chosen', y);
      if (y.length === 1 && isInside(ranges, curve.x[0], y[0])) add('dots', y);
      this.shown.push({curve, y});
      const end = this.ends.get(curve.t);
      if (end && end.x >= ranges.x0 && end.x <= ranges.x1) {
        const last = y[y.length - 1];  // one beyond the axis is marked at its edge
        rows.ends.push({...end, y: Math.min(Math.max(last, ranges.y0), ranges.y1)});
      }
    }
    for (const [name, found] of Object.entries(rows)) view.data(name, found);
    view.data('cursor', []);
    for (const [name, value] of Object.entries(ranges)) view.signal(name, value);
    await view.runAsync();
  }

  select() {
    return this.fill();
  }

  // The curve nearest to a place, and its logged point next to it.
  nearest(at) {
    const x = this.view.scale('x'), y = this.view.scale('y');
    const step = x.invert(at.x);
    let best = null;
    for (const {curve, y: values} of this.shown) {
      const xs = curve.x;
      if (step < xs[0] - 1e-9 && x(xs[0]) - at.x > NEAR) continue;
      if (step > xs[xs.length - 1] && at.x - x(xs[xs.length - 1]) > NEAR) continue;
      let low = 0, high = xs.length - 1;
      while (high - low > 1) {
        const middle = (low + high) >> 1;
        if (xs[middle] <= step) low = middle; else high = middle;
      }
      const share = xs[high] > xs[low]
        ? Math.min(Math.max((step - xs[low]) / (xs[high] - xs[low]), 0), 1) : 0;
      const away = Math.abs(y(values[low] + share * (values[high] - values[low])) - at.y);
      if (best === null || away < best.away) {
        const point = share < 0.5 ? low : high;
        best = {curve, away, step: xs[point], value: values[point], raw: curve.y[point]};
      }
    }
    return best !== null && best.away <= NEAR ? best : null;
  }

  point(event) {
    if (!this.view || this.rectangle) return;
    const at = placeIn(this.view, this.chart, event);
    const near = at.inside ? this.nearest(at) : null;
    if (near === null) return this.leave();
    this.view.data('cursor', [{x: near.step, y: near.value}]).runAsync();
    const {curve, step, value, raw} = near, row = this.trials.get(curve.t);
    const lines = [`step ${step.toLocaleString('en')}: ${about4(value)}`];
    if (this.state.weight) lines.push(`logged: ${about4(raw)}`);
    lines.push(row ? `${curve.t}, rank ${row.rank}` : curve.t);
    if (this.ends.has(curve.t)) lines.push(this.ends.get(curve.t).why);
    for (const [key, label] of Object.entries(this.trials.labels)) {
      if (row && row[key] !== null) lines.push(`${label} ${about4(row[key])}`);
    }
    this.note.textContent = lines.join('\n');
    this.note.hidden = false;
    const card = this.note.offsetParent.getBoundingClientRect();
    const left = event.clientX - card.left, width = this.note.offsetWidth;
    this.note.style.left = `${left + 16 + width > card.width ? Math.max(4, left - 16 - width) : left + 16}px`;
    this.note.style.top = `${event.clientY - card.top + 14}px`;
  }

  leave() {
    if (!this.note.hidden) this.view.data('cursor', []).runAsync();
    this.note.hidden = true;
  }
}

function about4(value) {
  return typeof value === 'number' ? String(Number(value.toPrecision(5))) : String(value);
}
