import { type ReactNode, useRef, useState } from 'react';
import { useServices } from '../store/app-services';
import { chooseFolder } from './choose-model';
import { pickedFolder } from './folder-files';

/** A button that opens a checkpoint's folder of this computer. */
export function FolderButton({
  className,
  testId,
  children,
}: {
  className: string;
  testId?: string;
  children: ReactNode;
}) {
  const services = useServices();
  const input = useRef<HTMLInputElement>(null);
  const [empty, setEmpty] = useState(false);
  return (
    <>
      <button type="button" className={className} onClick={() => input.current?.click()}>
        {children}
      </button>
      <input
        ref={input}
        type="file"
        hidden
        aria-label="Model folder"
        data-testid={testId}
        // React has no name for it: the picker takes a folder, and the files come with their paths in it.
        {...{ webkitdirectory: '' }}
        onChange={(event) => {
          const folder = pickedFolder(event.target.files);
          event.target.value = '';
          setEmpty(folder === undefined);
          if (folder) chooseFolder(services, folder);
        }}
      />
      {empty && (
        <p className="field-problem" role="alert">
          The browser gave no files of this folder. Drop it on the page instead.
        </p>
      )}
    </>
  );
}
