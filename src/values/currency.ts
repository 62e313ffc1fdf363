/** True for what can be an ISO 4217 code: three capital letters, such as `EUR`. Others are refused by `Intl`. */
export function isCurrency(text: string): boolean {
  return /^[A-Z]{3}$/.test(text);
}
