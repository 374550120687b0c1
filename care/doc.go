package care
