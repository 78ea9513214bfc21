import { type RefObject, useEffect } from 'react';
import { useServices } from '../store/app-services';

/** Pins the token that is clicked inside of an element, by its `data-token`. One listener for all tokens. */
export function useTokenClicks(box: RefObject<HTMLElement | null>): void {
  const { view } = useServices();
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const onClick = (event: MouseEvent) => {
      const token = (event.target as Element).closest<HTMLElement>('[data-token]');
      if (!token) return;
      const index = Number(token.dataset.token);
      view.setState((state) =>
        state.pinned === index
          ? { pinned: undefined, alternative: undefined }
          : { pinned: index, alternative: undefined, drawerOpen: true },
      );
    };
    element.addEventListener('click', onClick);
    return () => element.removeEventListener('click', onClick);
  }, [box, view]);
}
