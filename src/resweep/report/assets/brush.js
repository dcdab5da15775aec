// Dragging over a chart, in the coordinates of its plot.

// Where the plot begins within the drawing, in pixels.
function cornerOf(view) {
  const [left, top] = view.origin(), padding = view.padding();
  return {left: left + padding.left, top: top + padding.top};
}

// Where an event is: x, y in pixels of the plot, and whether that is inside of it.
function placeIn(view, chart, event) {
  const box = chart.querySelector('canvas, svg').getBoundingClientRect();
  const {left, top} = cornerOf(view);
  const x = event.clientX - box.left - left, y = event.clientY - box.top - top;
  return {x, y, inside: x >= 0 && y >= 0 && x <= view.width() && y <= view.height()};
}

const CLICK = 4;  // pixels: a shorter drag is a click

// Calls drag(from, to) while the mouse is dragged, done(from, to) at the end, click(at, event) for
// a click; places are those of placeIn, and kept within the plot.
function onDrag(view, chart, {drag = () => {}, done = () => {}, click = () => {}}) {
  let from = null;
  const within = at => ({
    x: Math.min(Math.max(at.x, 0), view.width()), y: Math.min(Math.max(at.y, 0), view.height())});
  const isDrag = at => Math.hypot(at.x - from.x, at.y - from.y) > CLICK;
  chart.onpointerdown = event => {
    const at = placeIn(view, chart, event);
    if (event.button !== 0 || !at.inside) return;
    from = at;
    event.preventDefault();  // no text is selected meanwhile
    chart.setPointerCapture(event.pointerId);
  };
  chart.onpointermove = event => {
    if (from === null) return;
    const at = placeIn(view, chart, event);
    if (isDrag(at)) drag(from, within(at));
  };
  chart.onpointerup = event => {
    if (from === null) return;
    const at = placeIn(view, chart, event), start = from;
    if (isDrag(at)) done(start, within(at)); else click(at, event);
    from = null;
  };
  chart.onpointercancel = () => {
    if (from !== null) done(from, from);
    from = null;
  };
}
