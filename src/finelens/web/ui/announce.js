// what comes here is read aloud when the reader is next idle
element.setAttribute('aria-live', 'polite');
