"""A bucket down or a folder up through s3transfer on the AWS Common Runtime, its fastest engine.

awscli 1 has no such engine, version 2 is in no package registry; this is what both build on.

usage: crt_tree.py down|up ENDPOINT BUCKET FOLDER COUNT
"""

import os
import sys
from pathlib import Path

import botocore.session  # type: ignore[import-not-found]
from s3transfer.crt import (  # type: ignore[import-not-found]
    BotocoreCRTCredentialsWrapper,
    BotocoreCRTRequestSerializer,
    CRTTransferManager,
    create_s3_crt_client,
)


def main(direction: str, endpoint: str, name: str, folder: Path) -> None:
    """Moves everything; the engine decides how much of it at once."""
    region = os.environ["AWS_REGION"]
    session = botocore.session.get_session()
    place = {"region_name": region, "endpoint_url": endpoint}
    credentials = BotocoreCRTCredentialsWrapper(session.get_credentials())
    engine = create_s3_crt_client(
        region=region,
        crt_credentials_provider=credentials.to_crt_credentials_provider(),
        use_ssl=endpoint.startswith("https:"),
        verify=os.environ.get("AWS_CA_BUNDLE"),
    )
    with CRTTransferManager(engine, BotocoreCRTRequestSerializer(session, dict(place))) as manager:
        moves = []
        if direction == "down":
            pages = session.create_client("s3", **place).get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=name):
                for found in page.get("Contents", ()):
                    path = folder / found["Key"]
                    path.parent.mkdir(parents=True, exist_ok=True)
                    moves.append(manager.download(name, found["Key"], str(path)))
        else:
            moves += [
                manager.upload(str(path), name, path.relative_to(folder).as_posix())
                for path in folder.rglob("*")
                if path.is_file()
            ]
        for move in moves:
            move.result()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], Path(sys.argv[4]))
