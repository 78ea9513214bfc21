import { type ReactNode, useRef } from 'react';
import { FolderInput } from '../shared/folder-input';
import { Icon } from '../shared/icon';
import { useTrainServices } from './train-services';
import { type ChosenFolder, canPickFolder, folderOfInput, pickFolder } from './video-folder';

/** A button that asks for a folder of videos. */
export function FolderButton({
  className,
  onChoose,
  children,
}: {
  className: string;
  onChoose: (folder: ChosenFolder) => void;
  children: ReactNode;
}) {
  const { training } = useTrainServices();
  const input = useRef<HTMLInputElement>(null);
  const choose = async () => {
    if (!canPickFolder()) return input.current?.click();
    try {
      const chosen = await pickFolder();
      if (chosen) onChoose(chosen);
    } catch (error) {
      const { message } = error as Error;
      training.setError({ scope: 'train', code: 'no-folder', title: 'The folder cannot be read.', message });
    }
  };
  return (
    <>
      <button type="button" className={className} onClick={() => void choose()}>
        <Icon name="folder" size={14} />
        <span className="ell">{children}</span>
      </button>
      <FolderInput
        ref={input}
        label="Video folder"
        testId="videos-folder"
        onFiles={(files) => {
          const chosen = folderOfInput(files);
          if (chosen) onChoose(chosen);
        }}
      />
    </>
  );
}
