-- SPDX-License-Identifier: Apache-2.0
-- Signed events for wrk: -- FILE [again]. A line of FILE is a signature, a tab, a body. Each is
-- sent once, and a run that needs more stops sending anything new; with "again" they are sent
-- over and over. One thread only, so that "once" holds.
local path, again, header = "", false, "Stripe-Signature"

function init(args)
   path, again = args[1], args[2] == "again"
   lines = {}
   for line in io.lines(path) do lines[#lines + 1] = line end
   at = 0
end

function request()
   at = at + 1
   if at > #lines then
      if not again then io.stderr:write("the events ran out\n"); wrk.thread:stop() end
      at = 1
   end
   local tab = lines[at]:find("\t", 1, true)
   return wrk.format("POST", nil, { [header] = lines[at]:sub(1, tab - 1),
                                    ["Content-Type"] = "application/json" },
                     lines[at]:sub(tab + 1))
end
