import { createStore, type StoreApi } from 'zustand/vanilla';

/** What the user looks at on the Train page. */
export interface TrainView {
  /** Weight of what was before in the charts' moving average. */
  smoothing: number;
  /** Clip ratios, times and the like too. */
  moreCharts: boolean;
  /** The steps' numbers in place of the charts. */
  asTable: boolean;
  /** Runs laid behind the one that is shown. */
  compared: readonly string[];
  /** The current group takes the place of charts and completions. */
  groupFull: boolean;
  /** Number of the question whose group is shown; undefined follows the newest. */
  question?: number | undefined;
}

export type TrainViewStore = StoreApi<TrainView>;

/** Nothing of it is kept over a reload. */
export function createTrainView(): TrainViewStore {
  return createStore<TrainView>(() => ({
    smoothing: 0.8,
    moreCharts: false,
    asTable: false,
    compared: [],
    groupFull: false,
  }));
}
