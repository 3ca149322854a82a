"""The local file system: walking it, and writing files nobody sees half done."""
