"""Give one import at a time the lease of a store."""

from typing import Final

from papyra.backends.redis.scripts.script import Script

#: Take or renew the lease. ARGV: the token, and the seconds after which the lease of another token is void.
#:
#: It returns 1 if the import may go on.
CLAIM: Final = Script(
    "writers",
    """
local now = tonumber(redis.call('TIME')[1])
local since, token = (redis.call('HGET', writers, 'import') or ''):match('(%d+) (%w+)')
if since and token ~= ARGV[1] and now - since < tonumber(ARGV[2]) then return 0 end
redis.call('HSET', writers, 'import', now .. ' ' .. ARGV[1])
return 1
""",
)

#: Give the lease up. ARGV: the token.
LEAVE: Final = Script(
    "writers",
    """
local token = (redis.call('HGET', writers, 'import') or ''):match(' (%w+)')
return token == ARGV[1] and redis.call('HDEL', writers, 'import') or 0
""",
)
