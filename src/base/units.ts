/**
 * Numbers that must not be mixed up, told apart by the compiler at no cost when running.
 * `…Next` names are exclusive, `…Last` inclusive.
 */
declare const unit: unique symbol;
type Unit<Name extends string> = number & { readonly [unit]: Name };

/** A record's place in its partition. */
export type Offset = Unit<'offset'>;
/** A byte's place in a file. */
export type FilePosition = Unit<'filePosition'>;

export const offset = (value: number): Offset => value as Offset;
export const filePosition = (value: number): FilePosition => value as FilePosition;
