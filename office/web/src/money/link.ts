/** The address of a payment's own place among the payments. */
export const linkTo = (payment: string): string => `/payments#${payment}`;
