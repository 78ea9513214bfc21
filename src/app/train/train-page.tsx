/** Setup on the left, the run in the middle, what came of it on the right. */
export function TrainPage() {
  return <main className="train" id="train" />;
}
