import { useEffect, useRef, useState } from 'react';
import { droppedFiles, type ModelFolder } from '../models/folder-files';
import { isModelFile } from '../models/loose-files';

/**
 * Takes what is dropped or pasted anywhere on the page: a video, or a model's folder or files. Returns whether
 * something is being dragged over the page.
 */
export function useFileDrop(
  onFile: (file: File) => void,
  onModel: (folder: ModelFolder) => void,
  onModelFiles: (files: File[]) => void,
): boolean {
  const [dragging, setDragging] = useState(false);
  const latest = useRef({ onFile, onModel, onModelFiles });
  useEffect(() => {
    latest.current = { onFile, onModel, onModelFiles };
  }, [onFile, onModel, onModelFiles]);
  useEffect(() => {
    const hasFiles = (event: DragEvent) => event.dataTransfer?.types.includes('Files') ?? false;
    const over = (event: DragEvent) => {
      if (!hasFiles(event)) return;
      // Without this the browser leaves the page to show the file.
      event.preventDefault();
      setDragging(true);
    };
    const leave = (event: DragEvent) => {
      if (event.relatedTarget === null) setDragging(false);
    };
    const drop = (event: DragEvent) => {
      setDragging(false);
      if (!hasFiles(event)) return;
      event.preventDefault();
      if (!event.dataTransfer) return;
      void droppedFiles(event.dataTransfer).then(
        ({ folder, files }) => {
          if (folder) latest.current.onModel(folder);
          else if (files.some(isModelFile)) latest.current.onModelFiles(files);
          else if (files[0]) latest.current.onFile(files[0]);
        },
        // The folder went away while it was being read.
        () => latest.current.onModel({ name: 'dropped folder', files: [] }),
      );
    };
    const paste = (event: ClipboardEvent) => {
      const file = event.clipboardData?.files[0];
      if (!file) return;
      event.preventDefault();
      latest.current.onFile(file);
    };
    window.addEventListener('dragenter', over);
    window.addEventListener('dragover', over);
    window.addEventListener('dragleave', leave);
    window.addEventListener('drop', drop);
    window.addEventListener('paste', paste);
    return () => {
      window.removeEventListener('dragenter', over);
      window.removeEventListener('dragover', over);
      window.removeEventListener('dragleave', leave);
      window.removeEventListener('drop', drop);
      window.removeEventListener('paste', paste);
    };
  }, []);
  return dragging;
}
