"""The only code that touches yt-dlp, ffmpeg and decoders."""
