import { type ReactNode, useRef, useState } from 'react';
import { FolderInput } from '../shared/folder-input';
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
      <FolderInput
        ref={input}
        label="Model folder"
        {...(testId ? { testId } : {})}
        onFiles={(files) => {
          const folder = pickedFolder(files);
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
