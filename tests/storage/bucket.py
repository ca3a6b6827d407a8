"""A bucket as a test sees it: by way of Amazon's own client, not of ours."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "a-secret", "AWS_REGION": "us-east-1"}
"""What the store takes, in the environment."""


class Bucket:
    """What a test does to a bucket behind the back of a run, and looks at after it."""

    def __init__(self, client: Any, name: str) -> None:
        self._client = client
        self.name = name

    def url(self, key: str) -> str:
        """Return the URL of a key."""
        return f"s3://{self.name}/{key}"

    def put(self, key: str, content: bytes | Path) -> None:
        """Write an object."""
        data = content.read_bytes() if isinstance(content, Path) else content
        self._client.put_object(Bucket=self.name, Key=key, Body=data)

    def get(self, key: str) -> bytes:
        """Read an object."""
        return bytes(self._client.get_object(Bucket=self.name, Key=key)["Body"].read())

    def table(self, key: str) -> pa.Table:
        """Read an object of Parquet."""
        return pq.read_table(pa.BufferReader(self.get(key)))

    def e_tags(self) -> dict[str, str]:
        """Return the store's tags of all objects, which change with every write of other content."""
        listed = self._client.list_objects_v2(Bucket=self.name)
        return {item["Key"]: item["ETag"] for item in listed.get("Contents", [])}

    def delete(self, key: str) -> None:
        """Remove an object."""
        self._client.delete_object(Bucket=self.name, Key=key)

    def list(self) -> list[str]:
        """List all objects."""
        return sorted(self.e_tags())
