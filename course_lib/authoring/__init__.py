"""What an author runs: release, site, recording, skeletons, translations, pictures."""
