import type { Plugin } from 'vite';

/** Leaves the classes of boxes that are never read out of the built page. */
export const mp4boxWithoutUnreadBoxes: Plugin;
