/** What the model desk needs for all but the page's own models: fetched with the first of the others. */
export { answerDesk } from './answer-desk';
export { prepareKept } from './prepare-kept';
