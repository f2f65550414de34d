"""HTTP/1.1 on asyncio protocols: the gateway's own hot path. Parsing is `httptools` (llhttp)."""
