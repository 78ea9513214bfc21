/** Why something could not be kept or read; `message` is a sentence for the user. */
export type StorageErrorCode = 'full' | 'in-use' | 'missing' | 'damaged' | 'unavailable';

/** An error of the storage room. */
export class StorageError extends Error {
  override name = 'StorageError';
  constructor(
    readonly code: StorageErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
