"""What a web process does besides answering: it tells that it runs, and watches the runners."""
