import type { RefObject } from 'react';

/** The hidden input behind a button that asks for a folder: `ref.current.click()` opens the picker. */
export function FolderInput({
  ref,
  label,
  testId,
  onFiles,
}: {
  ref: RefObject<HTMLInputElement | null>;
  label: string;
  testId?: string;
  /** All files in the folder and below; none where it is empty. */
  onFiles: (files: File[]) => void;
}) {
  return (
    <input
      ref={ref}
      type="file"
      hidden
      aria-label={label}
      data-testid={testId}
      // React has no name for it: the picker takes a folder, and the files come with their paths in it.
      {...{ webkitdirectory: '' }}
      onChange={(event) => {
        const files = [...(event.target.files ?? [])];
        event.target.value = '';
        onFiles(files);
      }}
    />
  );
}

/** The name of the folder that files of a picker lie in; undefined where they came without it. */
export function folderName([first]: readonly File[]): string | undefined {
  const [name, ...rest] = first?.webkitRelativePath.split('/') ?? [];
  return rest.length > 0 ? name : undefined;
}
