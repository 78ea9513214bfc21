import type { BlockBackend } from '../../blocks/block-runtimes';
import { openGpu } from '../../gpu/device';
import { urlStore } from '../../weights/file-store';
import type { StageResult, VerifyReport } from './report';
import { runVerify } from './run';

/** What the command asks the page to do. URLs of folders. */
export interface PageRequest {
  checkpoint: string;
  reference: string;
  weights: string | undefined;
  backend: BlockBackend;
}

declare global {
  interface Window {
    verifyModel(request: PageRequest): Promise<VerifyReport>;
    /** Put there by the command. */
    reportStage(stage: StageResult): void;
    reportNote(note: string): void;
  }
}

window.verifyModel = async ({ checkpoint, reference, weights, backend }) => {
  const gpu = await openGpu();
  try {
    return await runVerify({
      gpu,
      checkpoint: urlStore(checkpoint),
      reference: urlStore(reference),
      backend,
      ...(weights === undefined ? {} : { weights }),
      onStage: (stage) => window.reportStage(stage),
      onNote: (note) => window.reportNote(note),
    });
  } finally {
    gpu.close();
  }
};
