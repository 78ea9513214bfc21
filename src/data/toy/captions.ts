import { cellAt, colourAt, isVisible, type ToyObject, type ToyScene } from './scene';
import { TOY_CELLS, TOY_COLOURS } from './vocabulary';

/**
 * One frame in words, e.g. `Frame 3: red circle top left, blue square bottom right.` (or without cells), objects in
 * the order of `TOY_COLOURS`. `frame` counts from 0; texts count from 1.
 */
export function captionFrame(scene: ToyScene, frame: number, withCells: boolean): string {
  const order = (o: ToyObject) => TOY_COLOURS.indexOf(colourAt(o, frame));
  const seen = scene.objects.filter((o) => isVisible(o, frame)).sort((a, b) => order(a) - order(b));
  const names = seen.map((o) => {
    const name = `${colourAt(o, frame)} ${o.shape}`;
    return withCells ? `${name} ${TOY_CELLS[cellAt(o, frame)]}` : name;
  });
  return `Frame ${frame + 1}: ${names.length > 0 ? names.join(', ') : 'nothing'}.`;
}
