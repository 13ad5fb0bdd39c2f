/** Questions about who asks. */

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { api, unwrap } from "../client";

export function useSession() {
  return useQuery({
    queryKey: ["session"],
    queryFn: async () => unwrap(await api.GET("/api/v1/session")),
    staleTime: Infinity,
  });
}

export function useLogin() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: async (token: string) => unwrap(await api.POST("/api/v1/session", { body: { token } })),
    onSuccess: () => client.invalidateQueries({ queryKey: ["session"] }),
  });
}
