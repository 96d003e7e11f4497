"""OUT and CACHE in an object store: the place behind a local folder, its objects, requests and retries."""
