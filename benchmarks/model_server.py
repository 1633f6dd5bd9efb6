"""A stand-in for a server of language models: `python -m benchmarks.model_server SECONDS`.

Prints its port, then answers each request after so many seconds, any number of them at once, with a tag for every
note that it is shown.
"""

import asyncio
import json
import re
import sys

from librarian.protocol import ProposedOperation, Response, serialize_response


async def main(seconds: float) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = re.search(rb"(?i)content-length: *(\d+)", head)
                body = json.loads(await reader.readexactly(int(length[1]))) if length else {}
                await asyncio.sleep(seconds)
                answer = json.dumps(completion(body)).encode()
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                    + f"Content-Length: {len(answer)}\r\n\r\n".encode()
                    + answer
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


def completion(body: dict[str, object]) -> dict[str, object]:
    messages = body.get("messages")
    prompt = str(messages[-1]["content"]) if isinstance(messages, list) else ""
    request_id = re.search(r"<request_id>(.*?)</request_id>", prompt)
    operations = tuple(
        ProposedOperation(f"op-{number}", "retag_note", note_id, tags=("bench",), reason="It is one.", confidence=0.9)
        for number, note_id in enumerate(re.findall(r"<source_id>(.*?)</source_id>", prompt))
    )
    text = serialize_response(Response(request_id[1] if request_id else "", "ok", "made up", operations))
    return {
        "id": "made-up",
        "model": body.get("model"),
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": len(prompt) // 4, "completion_tokens": len(text) // 4},
    }


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1])))
