"""Return the entries of the stream and of the quarantine, a page at a time."""

from typing import Final

from papyra.backends.redis.scripts.script import Script

#: Return a page of entries, and whether they were the last ones.
#:
#: ARGV: XRANGE or XREVRANGE, where to begin and end, the most entries, and the bytes after which the page ends.
#:
#: It takes a few entries at a time, so that large ones cannot fill the memory.
PAGE: Final = Script(
    "records",
    """
local page, size, from, few = {}, 0, ARGV[2], 8
local most, bytes = tonumber(ARGV[4]), tonumber(ARGV[5])
while #page < most and size < bytes do
  local wanted = math.min(few, most - #page)
  local entries = redis.call(ARGV[1], records, from, ARGV[3], 'COUNT', wanted)
  for _, entry in ipairs(entries) do
    page[#page + 1] = entry
    for _, field in ipairs(entry[2]) do size = size + #field end
  end
  if #entries < wanted then return {page, 1} end
  from = '(' .. entries[wanted][1]
end
return {page, 0}
""",
)

#: Return the last bytes of many lines, so that a look for duplicate ids need not fetch the lines.
#:
#: ARGV: where to begin and end, the most entries, and the bytes of lines after which the page ends. Then the mark
#: before a line's checksum, the number of bytes from the mark on, and the number of last bytes to return.
#:
#: It returns these bytes of each line that has one mark, at its end, joined by newlines. Then come the fields of
#: every other entry, the place where to go on, and whether there is nothing more.
LINE_ENDS: Final = Script(
    "records",
    """
local ends, others, looked, size, from = {}, {}, 0, 0, ARGV[1]
local most, bytes, mark, behind, shown = tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5], ARGV[6] - 1, -ARGV[7]
while looked < most and size < bytes do
  local entries = redis.call('XRANGE', records, from, ARGV[2], 'COUNT', 8)
  for _, entry in ipairs(entries) do
    local fields = entry[2]
    local line = fields[2]
    if #fields == 2 and fields[1] == 'line' and line:find(mark, 1, true) == #line - behind then
      ends[#ends + 1] = line:sub(shown)
      size = size + #line
    else
      others[#others + 1] = fields
      for _, field in ipairs(fields) do size = size + #field end
    end
    from = '(' .. entry[1]
  end
  looked = looked + #entries
  if #entries < 8 then return {table.concat(ends, '\\n'), others, from, 1} end
end
return {table.concat(ends, '\\n'), others, from, 0}
""",
)

#: Return the next entries of the quarantine. ARGV: where to begin.
#:
#: Each is its id, the recovery that saved it, and its number of damaged bytes. Entries that an earlier version saved do
#: not have this number. For these it is the size of the saved values, each with a newline.
SAVED: Final = Script(
    "quarantine",
    """
local page, from = {}, ARGV[1]
while #page < 1000 do
  local entries = redis.call('XRANGE', quarantine, from, '+', 'COUNT', 8)
  for _, entry in ipairs(entries) do
    local fields, size = entry[2], nil
    if fields[7] == 'bytes' and #fields > 8 then size = tonumber(fields[8]) end
    if not size then
      size = 0
      for i = 8, #fields, 2 do size = size + #fields[i] + 1 end
    end
    page[#page + 1] = {entry[1], fields[2], size}
    from = '(' .. entry[1]
  end
  if #entries < 8 then break end
end
return page
""",
)
